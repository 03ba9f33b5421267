"""Virtual hosts over HTTPS

Revision: 0024, after 0023
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("virtualhost", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.add_column(sa.Column("https", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("https_redirect", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("hsts_seconds", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(
            sa.Column("tls_profile", sa.String(length=20), nullable=False, server_default="intermediate")
        )
        batch_op.create_check_constraint("tls_profile", "tls_profile in ('intermediate', 'modern')")
    with op.batch_alter_table("traffic") as batch_op:
        batch_op.add_column(sa.Column("https_port", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("strict_sni", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    with op.batch_alter_table("traffic") as batch_op:
        batch_op.drop_column("strict_sni")
        batch_op.drop_column("https_port")
    with op.batch_alter_table("virtualhost", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.drop_constraint("tls_profile", type_="check")
        batch_op.drop_column("tls_profile")
        batch_op.drop_column("hsts_seconds")
        batch_op.drop_column("https_redirect")
        batch_op.drop_column("https")
