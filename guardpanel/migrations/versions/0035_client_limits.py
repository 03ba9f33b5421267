"""How many requests one client may send

Revision: 0035, after 0034
"""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

COLUMNS = {
    "client_limits": (sa.Boolean(), "0"),
    "rate_limit_requests": (sa.Integer(), "100"),
    "rate_limit_window_seconds": (sa.Integer(), "10"),
    "requests_at_once": (sa.Integer(), "20"),
}
"With what policies from before have: no limits."


def upgrade() -> None:
    with op.batch_alter_table("policy", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        for name, (kind, value) in COLUMNS.items():
            batch_op.add_column(sa.Column(name, kind, nullable=False, server_default=value))


def downgrade() -> None:
    with op.batch_alter_table("policy", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        for name in COLUMNS:
            batch_op.drop_column(name)
