"""Accounts at ACME authorities with a key of their own

Revision: 0061, after 0060
"""

import sqlalchemy as sa
from alembic import op

revision = "0061"
down_revision = "0060"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("acmeaccount") as batch_op:
        batch_op.add_column(sa.Column("sealed_key", sa.LargeBinary(), nullable=True))
        batch_op.add_column(sa.Column("master_key", sa.String(length=16), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("retired_at", sa.DateTime(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("acmeaccount") as batch_op:
        for name in ("retired_at", "master_key", "sealed_key"):
            batch_op.drop_column(name)
