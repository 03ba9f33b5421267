"""One account key for each master key

Revision: 0026, after 0025
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sqlmodel.sql.sqltypes.AutoString
    with op.batch_alter_table("acmekey") as batch_op:
        batch_op.add_column(sa.Column("master_key", text(length=16), nullable=False, server_default=""))
        batch_op.create_unique_constraint("uq_acmekey_master_key", ["master_key"])


def downgrade() -> None:
    op.execute("DELETE FROM acmekey WHERE id <> 1")
    with op.batch_alter_table("acmekey") as batch_op:
        batch_op.drop_constraint("uq_acmekey_master_key", type_="unique")
        batch_op.drop_column("master_key")
