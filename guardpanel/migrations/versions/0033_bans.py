"""Bans

Revision: 0033, after 0032
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

text, moment = sqlmodel.sql.sqltypes.AutoString, sqlmodel.sql.sqltypes.UTCDateTime


def upgrade() -> None:
    op.create_table(
        "ban",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("network", text(length=50), nullable=False),
        sa.Column("ends_at", moment(), nullable=True),
        sa.Column("reason", text(length=500), nullable=False),
        sa.Column("origin", text(length=20), nullable=False),
        sa.Column("created_by", text(length=320), nullable=False),
        sa.Column("created_at", moment(), nullable=False),
        sa.Column("lifted_at", moment(), nullable=True),
        sa.Column("lifted_by", text(length=320), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ban")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_ban_network"), "ban", ["network"])


def downgrade() -> None:
    op.drop_table("ban")
