"""A health address for load balancers in front

Revision: 0050, after 0049
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("traffic") as batch_op:
        text = sqlmodel.sql.sqltypes.AutoString()
        batch_op.add_column(sa.Column("health_path", text, nullable=False, server_default=""))
        batch_op.add_column(sa.Column("health_networks", sa.JSON(), nullable=False, server_default="[]"))
        batch_op.add_column(sa.Column("health_drain", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    with op.batch_alter_table("traffic") as batch_op:
        for name in ("health_path", "health_networks", "health_drain"):
            batch_op.drop_column(name)
