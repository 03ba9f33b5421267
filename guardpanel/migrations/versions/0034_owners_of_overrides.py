"""Owners of rule overrides

Revision: 0034, after 0033
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("ruleoverride", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.add_column(
            sa.Column("owner", sqlmodel.sql.sqltypes.AutoString(length=255), nullable=False, server_default="")
        )


def downgrade() -> None:
    with op.batch_alter_table("ruleoverride", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.drop_column("owner")
