"""Custom rules that are written in SecLang

Revision: 0019, after 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("customrule", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.add_column(sa.Column("seclang", sa.String(), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("customrule", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.drop_column("seclang")
