"""Several authorities for a certificate, a try at staging, and a preferred chain

Revision: 0030, after 0029
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

text = sqlmodel.sql.sqltypes.AutoString


def upgrade() -> None:
    with op.batch_alter_table("certificate", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.add_column(sa.Column("other_authorities", sa.JSON(), nullable=False, server_default="[]"))
        batch_op.add_column(sa.Column("staging_authority", text(length=500), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("preferred_chain", text(length=100), nullable=False, server_default=""))
    with op.batch_alter_table("acmeorder", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.add_column(sa.Column("is_rehearsal", sa.Boolean(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("preferred_chain", text(length=100), nullable=False, server_default=""))
    with op.batch_alter_table("acmeplan") as batch_op:
        batch_op.add_column(sa.Column("authority", text(length=500), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("authority_failures", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("is_rehearsal", sa.Boolean(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("issued_by", text(length=500), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("acmeplan") as batch_op:
        for column in ("issued_by", "is_rehearsal", "authority_failures", "authority"):
            batch_op.drop_column(column)
    with op.batch_alter_table("acmeorder", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        for column in ("preferred_chain", "is_rehearsal"):
            batch_op.drop_column(column)
    with op.batch_alter_table("certificate", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        for column in ("preferred_chain", "staging_authority", "other_authorities"):
            batch_op.drop_column(column)
