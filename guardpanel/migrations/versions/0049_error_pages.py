"""Error page sets, and virtual hosts that use them

Revision: 0049, after 0048
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None

KEY, INDEX = "fk_virtualhost_error_page_id_errorpage", "ix_virtualhost_error_page_id"


def upgrade() -> None:
    op.create_table(
        "errorpage",
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(length=100), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("site_name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("logo", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("accent", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("text", sqlmodel.sql.sqltypes.AutoString(length=2000), nullable=False),
        sa.Column("contact", sqlmodel.sql.sqltypes.AutoString(length=300), nullable=False),
        sa.Column("notes", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("updated_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_errorpage")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("virtualhost", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.add_column(sa.Column("error_page_id", sa.Integer(), nullable=True))
        batch_op.create_foreign_key(op.f(KEY), "errorpage", ["error_page_id"], ["id"])
        batch_op.create_index(op.f(INDEX), ["error_page_id"])


def downgrade() -> None:
    with op.batch_alter_table("virtualhost", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.drop_index(op.f(INDEX))
        batch_op.drop_constraint(op.f(KEY), type_="foreignkey")
        batch_op.drop_column("error_page_id")
    op.drop_table("errorpage")
