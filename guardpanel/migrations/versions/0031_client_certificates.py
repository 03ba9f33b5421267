"""Client certificates of virtual hosts

Revision: 0031, after 0030
"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

KEY, INDEX = "fk_virtualhost_client_ca_id_clientca", "ix_virtualhost_client_ca_id"


def upgrade() -> None:
    with op.batch_alter_table("virtualhost", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        mode = sa.Column("client_certificates", sa.String(length=20), nullable=False, server_default="off")
        batch_op.add_column(mode)
        batch_op.add_column(sa.Column("client_ca_id", sa.Integer(), nullable=True))
        batch_op.add_column(
            sa.Column("client_certificate_headers", sa.Boolean(), nullable=False, server_default=sa.false())
        )
        batch_op.create_check_constraint(
            "client_certificates", "client_certificates in ('off', 'optional', 'required')"
        )
        batch_op.create_foreign_key(op.f(KEY), "clientca", ["client_ca_id"], ["id"])
        batch_op.create_index(op.f(INDEX), ["client_ca_id"])


def downgrade() -> None:
    with op.batch_alter_table("virtualhost", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.drop_index(op.f(INDEX))
        batch_op.drop_constraint(op.f(KEY), type_="foreignkey")
        batch_op.drop_constraint("client_certificates", type_="check")
        batch_op.drop_column("client_certificate_headers")
        batch_op.drop_column("client_ca_id")
        batch_op.drop_column("client_certificates")
