"""How many connections visitors may have, and how many requests one client

Revision: 0008, after 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("traffic") as batch_op:
        batch_op.add_column(sa.Column("max_connections", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("max_requests_per_client", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    with op.batch_alter_table("traffic") as batch_op:
        batch_op.drop_column("max_requests_per_client")
        batch_op.drop_column("max_connections")
