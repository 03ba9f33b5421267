"""Groups of events that a change fixed, in their policy

Revision: 0015, after 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("policy", sa.Column("fixed_groups", sa.JSON(), nullable=False, server_default="{}"))


def downgrade() -> None:
    op.drop_column("policy", "fixed_groups")
