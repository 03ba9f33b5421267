"""Body readings

Revision: 0017, after 0016
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

MATCHES = ("any", "exact", "below", "pattern")
WAYS = ("form", "multipart", "json", "ndjson", "xml", "text", "binary", "none")


def upgrade() -> None:
    op.create_table(
        "bodyreading",
        sa.Column("path_match", sa.Enum(*MATCHES, name="pathmatch", native_enum=False, length=20), nullable=False),
        sa.Column("path", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("methods", sa.JSON(), nullable=False),
        sa.Column("content_types", sa.JSON(), nullable=False),
        sa.Column("read_as", sa.Enum(*WAYS, name="readas", native_enum=False, length=20), nullable=False),
        sa.Column("reason", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("policy_id", sa.Integer(), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(length=400), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("updated_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["policy_id"], ["policy.id"], name=op.f("fk_bodyreading_policy_id_policy"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bodyreading")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_bodyreading_policy_id"), "bodyreading", ["policy_id"])


def downgrade() -> None:
    op.drop_table("bodyreading")
