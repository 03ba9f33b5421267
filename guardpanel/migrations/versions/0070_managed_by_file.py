"""Virtual hosts that are managed by a file, and changes that applied one

Revision: 0070, after 0069
"""

import sqlalchemy as sa
from alembic import op

revision = "0070"
down_revision = "0069"
branch_labels = None
depends_on = None

COLUMNS = {"virtualhost": "managed_by_file", "deployment": "applied_file"}


def upgrade() -> None:
    for table, name in COLUMNS.items():
        with op.batch_alter_table(table) as batch_op:
            batch_op.add_column(sa.Column(name, sa.String(), nullable=False, server_default=""))


def downgrade() -> None:
    for table, name in COLUMNS.items():
        with op.batch_alter_table(table, table_kwargs={"sqlite_autoincrement": True}) as batch_op:
            batch_op.drop_column(name)
