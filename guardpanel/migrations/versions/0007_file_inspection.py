"""Whether files that say they are JSON or XML are read as such, by policy

Revision: 0007, after 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("policy") as batch_op:
        batch_op.add_column(sa.Column("file_inspection", sa.Boolean(), nullable=False, server_default="0"))


def downgrade() -> None:
    with op.batch_alter_table("policy") as batch_op:
        batch_op.drop_column("file_inspection")
