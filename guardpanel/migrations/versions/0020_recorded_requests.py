"""How many ordinary requests a policy's virtual hosts record

Revision: 0020, after 0019
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

FIELDS = {"record_one_in": 100, "record_per_day": 240, "record_days": 7}


def upgrade() -> None:
    for name, number in FIELDS.items():
        op.add_column("policy", sa.Column(name, sa.Integer(), nullable=False, server_default=str(number)))


def downgrade() -> None:
    for name in FIELDS:
        op.drop_column("policy", name)
