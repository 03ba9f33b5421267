"""What scripts of other sites may do (CORS)

Revision: 0043, after 0042
"""

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

LISTS = {"cors_origins": "[]", "cors_methods": '["GET", "HEAD", "POST"]', "cors_headers": "[]"}


def upgrade() -> None:
    with op.batch_alter_table("virtualhost", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        for name, default in LISTS.items():
            batch_op.add_column(sa.Column(name, sa.JSON(), nullable=False, server_default=default))
        batch_op.add_column(sa.Column("cors_credentials", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("cors_max_age", sa.Integer(), nullable=False, server_default="600"))


def downgrade() -> None:
    with op.batch_alter_table("virtualhost", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        for name in (*LISTS, "cors_credentials", "cors_max_age"):
            batch_op.drop_column(name)
