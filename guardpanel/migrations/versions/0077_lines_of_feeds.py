"""Lines of a feed's last download, and what became of them

Revision: 0077, after 0076
"""

import sqlalchemy as sa
from alembic import op

revision = "0077"
down_revision = "0076"
branch_labels = None
depends_on = None

NAMES = ("lines", "doubles", "covered")


def upgrade() -> None:
    with op.batch_alter_table("feed", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        for name in NAMES:
            batch_op.add_column(sa.Column(name, sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    with op.batch_alter_table("feed", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        for name in NAMES:
            batch_op.drop_column(name)
