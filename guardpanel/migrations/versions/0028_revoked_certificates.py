"""Since when a certificate is revoked

Revision: 0028, after 0027
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sqlmodel.sql.sqltypes.UTCDateTime
    with op.batch_alter_table("certificatecontent", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.add_column(sa.Column("revoked_at", moment(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("certificatecontent", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.drop_column("revoked_at")
