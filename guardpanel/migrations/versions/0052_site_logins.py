"""Logins of virtual hosts (basic authentication)

Revision: 0052, after 0051
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None

COLUMNS = {"virtualhost": ("requires_login", "passes_login"), "pathbinding": ("requires_login",)}


def upgrade() -> None:
    op.create_table(
        "sitelogin",
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("notes", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("updated_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("virtual_host_id", sa.Integer(), nullable=False),
        sa.Column("sealed", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.ForeignKeyConstraint(
            ["virtual_host_id"],
            ["virtualhost.id"],
            name=op.f("fk_sitelogin_virtual_host_id_virtualhost"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sitelogin")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_sitelogin_virtual_host_id"), "sitelogin", ["virtual_host_id"])
    for table, names in COLUMNS.items():
        with op.batch_alter_table(table, table_kwargs={"sqlite_autoincrement": True}) as batch_op:
            for name in names:
                batch_op.add_column(sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    for table, names in COLUMNS.items():
        with op.batch_alter_table(table, table_kwargs={"sqlite_autoincrement": True}) as batch_op:
            for name in names:
                batch_op.drop_column(name)
    op.drop_table("sitelogin")
