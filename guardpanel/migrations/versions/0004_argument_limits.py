"""How many arguments and JSON values a policy takes

Revision: 0004, after 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("policy") as batch_op:
        batch_op.add_column(sa.Column("argument_limit", sa.Integer(), nullable=False, server_default="1000"))
        batch_op.add_column(sa.Column("json_value_limit", sa.Integer(), nullable=False, server_default="5000"))


def downgrade() -> None:
    with op.batch_alter_table("policy") as batch_op:
        batch_op.drop_column("json_value_limit")
        batch_op.drop_column("argument_limit")
