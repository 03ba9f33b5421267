"""Limits that OWASP CRS has and leaves open: lengths of arguments, sizes of uploads

Revision: 0018, after 0017
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

LIMITS = ("argument_name_length", "argument_length", "total_argument_length", "upload_kib", "files_kib")


def upgrade() -> None:
    for name in LIMITS:
        op.add_column("policy", sa.Column(name, sa.Integer(), nullable=True))


def downgrade() -> None:
    """Without a copy of the table: that would give ids of deleted rows again."""
    for name in LIMITS:
        op.drop_column("policy", name)
