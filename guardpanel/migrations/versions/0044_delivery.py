"""How a virtual host's servers are asked, and compression

Revision: 0044, after 0043
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None

NUMBERS = {"connect_timeout": 5, "server_timeout": 60, "tunnel_timeout": 3600, "retries": 2}
TYPES = ["application/javascript", "application/manifest+json", "application/wasm", "image/svg+xml", "text/css", "text/javascript"]


def upgrade() -> None:
    with op.batch_alter_table("virtualhost", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.add_column(sa.Column("server_host", sa.String(length=300), nullable=False, server_default=""))
        for name, default in NUMBERS.items():
            batch_op.add_column(sa.Column(name, sa.Integer(), nullable=False, server_default=str(default)))
        batch_op.add_column(sa.Column("compression", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("compression_types", sa.JSON(), nullable=False, server_default=json.dumps(TYPES)))


def downgrade() -> None:
    with op.batch_alter_table("virtualhost", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        for name in ("server_host", *NUMBERS, "compression", "compression_types"):
            batch_op.drop_column(name)
