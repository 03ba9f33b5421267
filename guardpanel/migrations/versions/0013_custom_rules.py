"""Custom rules

Revision: 0013, after 0012
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

OPERATORS = (
    "rx", "streq", "contains", "begins_with", "ends_with", "within", "pm", "eq", "ge", "gt", "le", "lt", "ip_match", "detect_sqli",
    "detect_xss", "always",
)  # fmt: skip


def choice(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, length=20)


def upgrade() -> None:
    text = sqlmodel.sql.sqltypes.AutoString()
    op.create_table(
        "customrule",
        sa.Column("rule_id", sa.Integer(), nullable=False),
        sa.Column("name", text, nullable=False),
        sa.Column("phase", choice("rulephase", "request_headers", "request_body"), nullable=False),
        sa.Column("variables", sa.JSON(), nullable=False),
        sa.Column("transformations", sa.JSON(), nullable=False),
        sa.Column("operator", choice("operator", *OPERATORS), nullable=False),
        sa.Column("negated", sa.Boolean(), nullable=False),
        sa.Column("operator_argument", text, nullable=False),
        sa.Column("action", choice("customaction", "score", "block", "allow", "log"), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("severity", choice("ruleseverity", "critical", "error", "warning", "notice"), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("comment", text, nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("policy_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("updated_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["policy_id"], ["policy.id"], name=op.f("fk_customrule_policy_id_policy"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customrule")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_customrule_policy_id"), "customrule", ["policy_id"])


def downgrade() -> None:
    op.drop_table("customrule")
