"""How much a client may get before it is over a limit of its policy

Revision: 0068, after 0067
"""

import sqlalchemy as sa
from alembic import op

revision = "0068"
down_revision = "0067"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("policy", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.add_column(sa.Column("mib_per_period", sa.Integer(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("policy", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.drop_column("mib_per_period")
