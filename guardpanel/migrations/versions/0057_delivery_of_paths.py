"""The path sent to servers, and delivery of path bindings

Revision: 0057, after 0056
"""

import sqlalchemy as sa
from alembic import op

revision = "0057"
down_revision = "0056"
branch_labels = None
depends_on = None

HEADERS = sa.Enum("off", "unless_set", "always", name="securityheaders", native_enum=False, length=20)
TYPES = (
    '["application/javascript", "application/manifest+json", "application/wasm", "image/svg+xml", "text/css", "text/javascript"]'
)


def columns() -> list[sa.Column]:
    numbers = ("connect_timeout", "queue_timeout", "server_timeout", "tunnel_timeout", "retries")
    flags = ("own_compression", "compression", "own_cors", "cors_credentials")
    lists = {"own_servers": "[]", "compression_types": TYPES, "cors_origins": "[]", "cors_headers": "[]"}
    lists["cors_methods"] = '["GET", "HEAD", "POST"]'
    return [
        sa.Column("server_path", sa.String(length=500), nullable=False, server_default=""),
        sa.Column("server_host", sa.String(length=300), nullable=False, server_default=""),
        sa.Column("security_headers", HEADERS, nullable=True),
        sa.Column("cors_max_age", sa.Integer(), nullable=False, server_default="600"),
        *(sa.Column(name, sa.Integer(), nullable=True) for name in numbers),
        *(sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()) for name in flags),
        *(sa.Column(name, sa.JSON(), nullable=False, server_default=default) for name, default in lists.items()),
    ]


def upgrade() -> None:
    with op.batch_alter_table("virtualhost", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.add_column(sa.Column("server_path", sa.String(length=500), nullable=False, server_default=""))
    with op.batch_alter_table("pathbinding", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        for column in columns():
            batch_op.add_column(column)


def downgrade() -> None:
    with op.batch_alter_table("pathbinding", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        for column in columns():
            batch_op.drop_column(column.name)
    with op.batch_alter_table("virtualhost", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.drop_column("server_path")
