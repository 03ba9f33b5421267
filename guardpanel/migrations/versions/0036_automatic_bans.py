"""Bans of clients whose requests a policy has rejected too often

Revision: 0036, after 0035
"""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

COLUMNS = {
    "automatic_bans": (sa.Boolean(), "0"),
    "ban_threshold": (sa.Integer(), "10"),
    "ban_window_seconds": (sa.Integer(), "600"),
    "ban_duration_seconds": (sa.Integer(), "600"),
    "ban_doubles": (sa.Boolean(), "0"),
}
"With what policies from before have: no automatic bans."


def upgrade() -> None:
    with op.batch_alter_table("policy", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        for name, (kind, value) in COLUMNS.items():
            batch_op.add_column(sa.Column(name, kind, nullable=False, server_default=value))


def downgrade() -> None:
    with op.batch_alter_table("policy", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        for name in COLUMNS:
            batch_op.drop_column(name)
