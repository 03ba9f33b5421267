"""Contents of address lists that are stored as changes of others

Revision: 0074, after 0073
"""

import sqlalchemy as sa
from alembic import op

revision = "0074"
down_revision = "0073"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("addresslistcontent", recreate="always") as batch_op:
        # What precedes a long value is read without it.
        column = sa.Column("since", sa.String(64), nullable=False, server_default="")
        batch_op.add_column(column, insert_before="packed")


def downgrade() -> None:
    op.execute("DELETE FROM addresslistcontent WHERE since != ''")
    with op.batch_alter_table("addresslistcontent") as batch_op:
        batch_op.drop_column("since")
