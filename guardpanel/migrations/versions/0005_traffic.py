"""How requests reach HAProxy: PROXY protocol, trusted proxies

Revision: 0005, after 0004
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "traffic",
        sa.Column(
            "client_ip_source",
            sa.Enum("connection", "x_forwarded_for", "header", name="clientipsource", native_enum=False, length=20),
            nullable=False,
        ),
        sa.Column("trusted_networks", sa.JSON(), nullable=False),
        sa.Column("forwarded_hops", sa.Integer(), nullable=False),
        sa.Column("client_ip_header", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("listeners", sa.JSON(), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("updated_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_traffic_only_one")),
        sa.CheckConstraint(
            "client_ip_source in ('connection', 'x_forwarded_for', 'header')",
            name=op.f("ck_traffic_client_ip_source"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_traffic")),
    )
    op.execute(
        "INSERT INTO traffic (client_ip_source, trusted_networks, forwarded_hops, client_ip_header, id, version, "
        "listeners, created_at, updated_at) VALUES ('connection', '[]', 0, '', 1, 1, '[]', "
        "'1970-01-01 00:00:00.000000', '1970-01-01 00:00:00.000000')"
    )


def downgrade() -> None:
    op.drop_table("traffic")
