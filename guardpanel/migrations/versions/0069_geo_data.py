"""URLs of the data about addresses

Revision: 0069, after 0068
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0069"
down_revision = "0068"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "geodata",
        sa.Column("country_url", sa.String(length=1000), nullable=False),
        sa.Column("network_url", sa.String(length=1000), nullable=False),
        sa.Column(
            "every",
            sa.Enum("15m", "1h", "6h", "1d", "7d", name="feedinterval", native_enum=False, length=20),
            nullable=False,
        ),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("updated_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_geodata_only_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_geodata")),
    )
    op.execute(
        "INSERT INTO geodata (country_url, network_url, every, id, version, created_at, updated_at) "
        "VALUES ('', '', '1d', 1, 1, '1970-01-01 00:00:00.000000', '1970-01-01 00:00:00.000000')"
    )


def downgrade() -> None:
    op.drop_table("geodata")
