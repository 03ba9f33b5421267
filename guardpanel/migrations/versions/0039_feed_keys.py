"""Keys of feeds

Revision: 0039, after 0038
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("feed", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.add_column(sa.Column("sealed_key", sa.LargeBinary(), nullable=True))
        url = sqlmodel.sql.sqltypes.AutoString(length=1000)
        batch_op.add_column(sa.Column("key_url", url, nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("feed", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        for name in ("key_url", "sealed_key"):
            batch_op.drop_column(name)
