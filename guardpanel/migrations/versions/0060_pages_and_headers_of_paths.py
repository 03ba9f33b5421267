"""Error page sets and header rules of path bindings

Revision: 0060, after 0059
"""

import sqlalchemy as sa
from alembic import op

revision = "0060"
down_revision = "0059"
branch_labels = None
depends_on = None

KEY, INDEX = "fk_pathbinding_error_page_id_errorpage", "ix_pathbinding_error_page_id"


def upgrade() -> None:
    with op.batch_alter_table("pathbinding", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.add_column(sa.Column("error_page_id", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("own_headers", sa.JSON(), nullable=False, server_default="[]"))
        batch_op.create_foreign_key(op.f(KEY), "errorpage", ["error_page_id"], ["id"])
        batch_op.create_index(op.f(INDEX), ["error_page_id"])


def downgrade() -> None:
    with op.batch_alter_table("pathbinding", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.drop_column("own_headers")
        batch_op.drop_index(op.f(INDEX))
        batch_op.drop_constraint(op.f(KEY), type_="foreignkey")
        batch_op.drop_column("error_page_id")
