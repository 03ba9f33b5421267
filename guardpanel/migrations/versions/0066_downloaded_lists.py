"""Lists of the last good download

Revision: 0066, after 0065
"""

import sqlalchemy as sa
from alembic import op

revision = "0066"
down_revision = "0065"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("listdownload") as batch_op:
        batch_op.add_column(sa.Column("lists", sa.String(), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("listdownload") as batch_op:
        batch_op.drop_column("lists")
