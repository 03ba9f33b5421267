"""Client CAs

Revision: 0029, after 0028
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

LARGEST = 256 * 1024


def upgrade() -> None:
    op.create_table(
        "clientca",
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(length=100), nullable=False),
        sa.Column("certificates", sqlmodel.sql.sqltypes.AutoString(length=LARGEST), nullable=False),
        sa.Column("revocation_lists", sqlmodel.sql.sqltypes.AutoString(length=LARGEST), nullable=False),
        sa.Column("notes", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("updated_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clientca")),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("clientca")
