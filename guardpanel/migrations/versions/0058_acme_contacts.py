"""Email addresses that authorities know

Revision: 0057, after 0056
"""

import sqlalchemy as sa
from alembic import op

revision = "0058"
down_revision = "0057"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("acmeaccount") as batch_op:
        batch_op.add_column(sa.Column("contacts", sa.JSON(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("acmeaccount") as batch_op:
        batch_op.drop_column("contacts")
