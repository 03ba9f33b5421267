"""Names that only one may have are a rule of every save, which says whose they are; SQLite would refuse before that

Revision: 0010, after 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

UNIQUE = {"policy": "uq_policy_name", "hostname": "uq_hostname_name"}


def upgrade() -> None:
    _rebuild(lambda batch_op, constraint: batch_op.drop_constraint(constraint, type_="unique"))
    op.create_index("ix_hostname_name", "hostname", ["name"])


def downgrade() -> None:
    op.drop_index("ix_hostname_name", "hostname")
    _rebuild(lambda batch_op, constraint: batch_op.create_unique_constraint(constraint, ["name"]))


def _rebuild(change) -> None:
    """SQLite cannot alter a constraint: the table is made anew."""
    for table, constraint in UNIQUE.items():
        with op.batch_alter_table(table, table_kwargs={"sqlite_autoincrement": True}) as batch_op:
            change(batch_op, constraint)
