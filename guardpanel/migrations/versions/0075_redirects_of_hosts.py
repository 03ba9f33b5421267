"""Redirects of whole virtual hosts

Revision: 0075, after 0074
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0075"
down_revision = "0074"
branch_labels = None
depends_on = None

STATUS = sa.Enum("no", "301", "308", "302", "307", name="redirect", native_enum=False, length=20)


def upgrade() -> None:
    with op.batch_alter_table("virtualhost", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.add_column(sa.Column("redirect", STATUS, nullable=False, server_default="no"))
        batch_op.add_column(sa.Column("redirect_to", sqlmodel.sql.sqltypes.AutoString(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("redirect_rest", sa.Boolean(), nullable=False, server_default=sa.true()))


def downgrade() -> None:
    with op.batch_alter_table("virtualhost", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        for name in ("redirect", "redirect_to", "redirect_rest"):
            batch_op.drop_column(name)
