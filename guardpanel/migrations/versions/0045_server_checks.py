"""Health checks of single servers

Revision: 0045, after 0044
"""

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

NUMBERS = ("health_check_interval", "health_check_rise", "health_check_fall")


def upgrade() -> None:
    with op.batch_alter_table("server", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.add_column(sa.Column("health_check", sa.Boolean(), nullable=False, server_default=sa.true()))
        for name in NUMBERS:
            batch_op.add_column(sa.Column(name, sa.Integer(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("server", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        for name in ("health_check", *NUMBERS):
            batch_op.drop_column(name)
