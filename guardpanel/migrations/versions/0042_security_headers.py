"""Security headers of virtual hosts

Revision: 0042, after 0041
"""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

CHOICES = ("off", "unless_set", "always")


def upgrade() -> None:
    choice = sa.Enum(*CHOICES, name="securityheaders", native_enum=False, length=20)
    with op.batch_alter_table("virtualhost", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.add_column(sa.Column("security_headers", choice, nullable=False, server_default="off"))


def downgrade() -> None:
    with op.batch_alter_table("virtualhost", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.drop_column("security_headers")
