"""How long bodies of requests and responses are waited for

Revision: 0009, after 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

COLUMNS = {
    "upload_seconds": (sa.Integer(), "10"),
    "upload_rate_kib": (sa.Integer(), "16"),
    "response_seconds": (sa.Integer(), "5"),
    "streamed_responses": (sa.String(length=20), "judge_beginning"),
}
"With what policies from before have."


def upgrade() -> None:
    with op.batch_alter_table("policy") as batch_op:
        for name, (kind, value) in COLUMNS.items():
            batch_op.add_column(sa.Column(name, kind, nullable=False, server_default=value))


def downgrade() -> None:
    with op.batch_alter_table("policy") as batch_op:
        for name in COLUMNS:
            batch_op.drop_column(name)
