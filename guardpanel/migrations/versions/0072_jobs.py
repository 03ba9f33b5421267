"""Requests that are carried out after their response

Revision: 0072, after 0071
"""

import sqlalchemy as sa
from alembic import op

revision = "0072"
down_revision = "0071"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("idempotencykey", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.add_column(sa.Column("job_of", sa.String(length=255), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("job_path", sa.String(length=500), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("idempotencykey", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.drop_column("job_path")
        batch_op.drop_column("job_of")
