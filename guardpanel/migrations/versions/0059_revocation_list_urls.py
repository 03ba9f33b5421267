"""URLs of revocation lists

Revision: 0058, after 0057
"""

import sqlalchemy as sa
from alembic import op

revision = "0059"
down_revision = "0058"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("clientca", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.add_column(sa.Column("revocation_list_urls", sa.JSON(), nullable=False, server_default="[]"))


def downgrade() -> None:
    with op.batch_alter_table("clientca", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.drop_column("revocation_list_urls")
