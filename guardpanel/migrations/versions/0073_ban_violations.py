"""What an automatic ban was made of

Revision: 0073, after 0072
"""

import sqlalchemy as sa
from alembic import op

revision = "0073"
down_revision = "0072"
branch_labels = None
depends_on = None

COLUMNS = "violations", "threshold"
"0 of bans from before."


def upgrade() -> None:
    with op.batch_alter_table("ban", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        for name in COLUMNS:
            batch_op.add_column(sa.Column(name, sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    with op.batch_alter_table("ban", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        for name in COLUMNS:
            batch_op.drop_column(name)
