"""Path bindings

Revision: 0038, after 0037
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

MATCHES = ("below", "exact")
REDIRECTS = ("no", "301", "308", "302", "307")
MODES = ("block", "detect_only", "off")


def upgrade() -> None:
    op.create_table(
        "pathbinding",
        sa.Column("path_match", sa.Enum(*MATCHES, name="boundpath", native_enum=False, length=20), nullable=False),
        sa.Column("path", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("redirect", sa.Enum(*REDIRECTS, name="redirect", native_enum=False, length=20), nullable=False),
        sa.Column("redirect_to", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("redirect_rest", sa.Boolean(), nullable=False),
        sa.Column("policy_id", sa.Integer(), nullable=True),
        sa.Column("enforcement_mode", sa.Enum(*MODES, name="enforcementmode", native_enum=False, length=20), nullable=True),
        sa.Column("notes", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("virtual_host_id", sa.Integer(), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(length=510), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("updated_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["policy_id"], ["policy.id"], name=op.f("fk_pathbinding_policy_id_policy")),
        sa.ForeignKeyConstraint(
            ["virtual_host_id"],
            ["virtualhost.id"],
            name=op.f("fk_pathbinding_virtual_host_id_virtualhost"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pathbinding")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_pathbinding_policy_id"), "pathbinding", ["policy_id"])
    op.create_index(op.f("ix_pathbinding_virtual_host_id"), "pathbinding", ["virtual_host_id"])


def downgrade() -> None:
    op.drop_table("pathbinding")
