"""Rule exclusions

Revision: 0011, after 0010
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TARGETS = (
    "argument", "json", "argument_name", "cookie", "cookie_name", "header", "header_name", "file", "part", "xml", "path", "url",
    "body", "request",
)  # fmt: skip
MATCHES = ("any", "exact", "below", "pattern")


def upgrade() -> None:
    op.create_table(
        "ruleexclusion",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("target", sa.Enum(*TARGETS, name="target", native_enum=False, length=20), nullable=False),
        sa.Column("name_is_pattern", sa.Boolean(), nullable=False),
        sa.Column("target_name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("path_match", sa.Enum(*MATCHES, name="pathmatch", native_enum=False, length=20), nullable=False),
        sa.Column("path", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("methods", sa.JSON(), nullable=False),
        sa.Column("only_if", sa.JSON(), nullable=False),
        sa.Column("virtual_host_id", sa.Integer(), nullable=True),
        sa.Column("reason", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("owner", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("policy_id", sa.Integer(), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(length=255), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("updated_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["policy_id"], ["policy.id"], name=op.f("fk_ruleexclusion_policy_id_policy"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["virtual_host_id"], ["virtualhost.id"], name=op.f("fk_ruleexclusion_virtual_host_id_virtualhost"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ruleexclusion")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_ruleexclusion_policy_id"), "ruleexclusion", ["policy_id"])
    op.create_index(op.f("ix_ruleexclusion_virtual_host_id"), "ruleexclusion", ["virtual_host_id"])


def downgrade() -> None:
    op.drop_table("ruleexclusion")
