"""How long a request over a limit is held before it is rejected

Revision: 0071, after 0070
"""

import sqlalchemy as sa
from alembic import op

revision = "0071"
down_revision = "0070"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("policy", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.add_column(sa.Column("limit_delay_seconds", sa.Integer(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("policy", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.drop_column("limit_delay_seconds")
