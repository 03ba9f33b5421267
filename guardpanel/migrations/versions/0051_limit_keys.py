"""By what the limits of a policy count

Revision: 0051, after 0050
"""

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None


def upgrade() -> None:
    by = sa.Enum("client", "network", "header", "cookie", name="limitby", native_enum=False, length=20)
    with op.batch_alter_table("policy", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.add_column(sa.Column("limit_by", by, nullable=False, server_default="client"))
        batch_op.add_column(sa.Column("limit_by_name", sa.String(), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("policy", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        for name in ("limit_by_name", "limit_by"):
            batch_op.drop_column(name)
