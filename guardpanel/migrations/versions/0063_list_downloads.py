"""Downloads of revocation lists

Revision: 0063, after 0062
"""

import sqlalchemy as sa
from alembic import op

revision = "0063"
down_revision = "0062"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "listdownload",
        sa.Column("client_ca_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("client_ca_created_at", sa.DateTime(), nullable=False),
        sa.Column("urls", sa.JSON(), nullable=False),
        sa.Column("tried_at", sa.DateTime(), nullable=False),
        sa.Column("good_at", sa.DateTime(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("problem", sa.String(length=5000), nullable=False),
        sa.PrimaryKeyConstraint("client_ca_id", name=op.f("pk_listdownload")),
    )


def downgrade() -> None:
    op.drop_table("listdownload")
