"""Header rules

Revision: 0041, after 0040
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

DIRECTIONS = ("request", "response")
ACTIONS = ("set", "add", "remove")


def upgrade() -> None:
    op.create_table(
        "headerrule",
        sa.Column("direction", sa.Enum(*DIRECTIONS, name="direction", native_enum=False, length=20), nullable=False),
        sa.Column("action", sa.Enum(*ACTIONS, name="headeraction", native_enum=False, length=20), nullable=False),
        sa.Column("header", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("value", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("notes", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("virtual_host_id", sa.Integer(), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(length=200), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("updated_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["virtual_host_id"],
            ["virtualhost.id"],
            name=op.f("fk_headerrule_virtual_host_id_virtualhost"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_headerrule")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_headerrule_virtual_host_id"), "headerrule", ["virtual_host_id"])


def downgrade() -> None:
    op.drop_table("headerrule")
