"""Idempotency keys

Revision: 0065, after 0064
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0065"
down_revision = "0064"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "idempotencykey",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("content", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("change_id", sa.Integer(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", sa.JSON(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotencykey")),
        sa.UniqueConstraint("digest", name=op.f("uq_idempotencykey_digest")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_idempotencykey_created_at"), "idempotencykey", ["created_at"])


def downgrade() -> None:
    op.drop_table("idempotencykey")
