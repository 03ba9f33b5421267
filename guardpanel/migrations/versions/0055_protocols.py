"""The protocol of a virtual host's servers, and request bodies that are streamed

Revision: 0055, after 0054
"""

import sqlalchemy as sa
from alembic import op

revision = "0055"
down_revision = "0054"
branch_labels = None
depends_on = None


def upgrade() -> None:
    protocols = sa.Enum("http1", "http2", name="serverprotocol", native_enum=False, length=20)
    with op.batch_alter_table("virtualhost", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.add_column(sa.Column("server_protocol", protocols, nullable=False, server_default="http1"))
        batch_op.add_column(sa.Column("streaming", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    with op.batch_alter_table("virtualhost", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        for name in ("server_protocol", "streaming"):
            batch_op.drop_column(name)
