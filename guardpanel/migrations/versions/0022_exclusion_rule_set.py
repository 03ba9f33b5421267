"""The rule set by which rule exclusions were checked

Revision: 0022, after 0021
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("ruleexclusion") as batch_op:
        batch_op.add_column(
            sa.Column("crs_version", sqlmodel.sql.sqltypes.AutoString(length=30), nullable=False, server_default="")
        )


def downgrade() -> None:
    with op.batch_alter_table("ruleexclusion") as batch_op:
        batch_op.drop_column("crs_version")
