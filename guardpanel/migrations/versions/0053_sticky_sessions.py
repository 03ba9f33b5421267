"""Visitors that stay with one server, by a cookie

Revision: 0053, after 0052
"""

import sqlalchemy as sa
from alembic import op

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None


def columns() -> list[sa.Column[str]]:
    kinds = sa.Enum("off", "cookie", name="stickysessions", native_enum=False, length=20)
    sites = sa.Enum("lax", "strict", "none", name="samesite", native_enum=False, length=20)
    return [
        sa.Column("sticky_sessions", kinds, nullable=False, server_default="off"),
        sa.Column("sticky_cookie", sa.String(length=100), nullable=False, server_default="GPSRV"),
        sa.Column("sticky_same_site", sites, nullable=False, server_default="lax"),
    ]


def upgrade() -> None:
    with op.batch_alter_table("virtualhost", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        for column in columns():
            batch_op.add_column(column)


def downgrade() -> None:
    with op.batch_alter_table("virtualhost", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        for column in columns():
            batch_op.drop_column(column.name)
