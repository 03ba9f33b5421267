"""A job's request under a true name: it has the method, too

Revision: 0078, after 0077
"""

from alembic import op

revision = "0078"
down_revision = "0077"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("idempotencykey", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.alter_column("job_path", new_column_name="job_request")


def downgrade() -> None:
    with op.batch_alter_table("idempotencykey", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.alter_column("job_request", new_column_name="job_path")
