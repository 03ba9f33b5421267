"""Where visitors may come from

Revision: 0040, after 0039
"""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

NAMES = ("countries", "country_mode", "asns", "asn_mode")


def upgrade() -> None:
    mode = sa.Enum("off", "allow_only", "reject", name="geomode", native_enum=False, length=20)
    with op.batch_alter_table("policy", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        for name in ("countries", "asns"):
            batch_op.add_column(sa.Column(name, sa.JSON(), nullable=False, server_default="[]"))
        for name in ("country_mode", "asn_mode"):
            batch_op.add_column(sa.Column(name, mode, nullable=False, server_default="off"))


def downgrade() -> None:
    with op.batch_alter_table("policy", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        for name in NAMES:
            batch_op.drop_column(name)
