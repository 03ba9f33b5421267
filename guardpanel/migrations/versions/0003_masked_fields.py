"""What events do not show, by policy

Revision: 0003, after 0002
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MASKED_FIELDS = [
    "authorization", "proxy-authorization", "cookie", "set-cookie", "*password*", "*passwd*", "passphrase", "pass", "pwd", "*secret*",
    "*token*", "*apikey*", "*api_key*", "*api-key*", "cvc", "cvv", "*card_number*", "*cardnumber*", "@cards",
]
"What the agent masked before policies had a list."


def upgrade() -> None:
    with op.batch_alter_table("policy") as batch_op:
        batch_op.add_column(sa.Column("masked_fields", sa.JSON(), nullable=False, server_default=json.dumps(MASKED_FIELDS)))


def downgrade() -> None:
    with op.batch_alter_table("policy") as batch_op:
        batch_op.drop_column("masked_fields")
