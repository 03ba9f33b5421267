"""Certificates from ACME authorities

Revision: 0025, after 0024
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"


text, moment = sqlmodel.sql.sqltypes.AutoString, sqlmodel.sql.sqltypes.UTCDateTime


def upgrade() -> None:
    _certificates()
    _accounts()
    _orders()
    _steps()
    _plans()


def _certificates() -> None:
    with op.batch_alter_table("certificate", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.add_column(sa.Column("authority", text(length=500), nullable=False, server_default=LETS_ENCRYPT))
        batch_op.add_column(sa.Column("challenge", sa.String(length=20), nullable=False, server_default="http-01"))
        batch_op.add_column(sa.Column("profile", text(length=64), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("contact", text(length=320), nullable=False, server_default=""))
        batch_op.create_check_constraint("challenge", "challenge in ('http-01', 'dns-01')")


def _accounts() -> None:
    op.create_table(
        "acmekey",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acmekey")),
    )
    op.create_table(
        "acmeaccount",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("authority", text(length=500), nullable=False),
        sa.Column("thumbprint", text(length=43), nullable=False),
        sa.Column("url", text(), nullable=False),
        sa.Column("binding_key_id", text(), nullable=False),
        sa.Column("sealed_binding_key", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acmeaccount")),
    )
    op.create_index(op.f("ix_acmeaccount_authority"), "acmeaccount", ["authority"])


def _orders() -> None:
    op.create_table(
        "acmeorder",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("certificate_id", sa.Integer(), nullable=False),
        sa.Column("authority", text(length=500), nullable=False),
        sa.Column("names", sa.JSON(), nullable=False),
        sa.Column("challenge", text(length=20), nullable=False),
        sa.Column("profile", text(length=64), nullable=False),
        sa.Column("replaces", text(length=200), nullable=False),
        sa.Column("csr", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=True),
        sa.Column("phase", text(length=20), nullable=False),
        sa.Column("url", text(), nullable=False),
        sa.Column("expires", moment(), nullable=True),
        sa.Column("records", sa.JSON(), nullable=False),
        sa.Column("chain", text(), nullable=False),
        sa.Column("fault", sa.JSON(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_step_at", moment(), nullable=False),
        sa.Column("started_at", moment(), nullable=False),
        sa.Column("ended_at", moment(), nullable=True),
        sa.Column("is_asked_for", sa.Boolean(), nullable=False),
        sa.Column("is_issued", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acmeorder")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_acmeorder_certificate_id"), "acmeorder", ["certificate_id"])


def _steps() -> None:
    op.create_table(
        "acmestep",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("at", moment(), nullable=False),
        sa.Column("words", text(), nullable=False),
        sa.Column("detail", text(), nullable=False),
        sa.Column("is_bad", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["order_id"], ["acmeorder.id"], name=op.f("fk_acmestep_order_id_acmeorder"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acmestep")),
    )
    op.create_index(op.f("ix_acmestep_order_id"), "acmestep", ["order_id"])


def _plans() -> None:
    op.create_table(
        "acmeplan",
        sa.Column("certificate_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("certificate_version", sa.Integer(), nullable=False),
        sa.Column("fingerprint", text(), nullable=False),
        sa.Column("due_at", moment(), nullable=True),
        sa.Column("why", text(), nullable=False),
        sa.Column("explanation", text(), nullable=False),
        sa.Column("has_window", sa.Boolean(), nullable=False),
        sa.Column("ask_again_at", moment(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("certificate_id", name=op.f("pk_acmeplan")),
    )


def downgrade() -> None:
    for table in ("acmeplan", "acmestep", "acmeorder", "acmeaccount", "acmekey"):
        op.drop_table(table)
    with op.batch_alter_table("certificate", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.drop_constraint("challenge", type_="check")
        for column in ("contact", "profile", "challenge", "authority"):
            batch_op.drop_column(column)
