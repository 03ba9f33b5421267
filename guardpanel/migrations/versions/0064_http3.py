"""HTTP/3

Revision: 0064, after 0063
"""

import sqlalchemy as sa
from alembic import op

revision = "0064"
down_revision = "0063"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("traffic") as batch_op:
        batch_op.add_column(sa.Column("http3", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    with op.batch_alter_table("traffic") as batch_op:
        batch_op.drop_column("http3")
