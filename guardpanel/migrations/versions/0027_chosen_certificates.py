"""Certificates chosen for a virtual host, and for handshakes without a name

Revision: 0027, after 0026
"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _add("virtualhost", "certificate_id", table_kwargs={"sqlite_autoincrement": True})
    _add("traffic", "default_certificate_id")


def _add(table: str, column: str, **kept: object) -> None:
    key = op.f(f"fk_{table}_{column}_certificate")
    with op.batch_alter_table(table, **kept) as batch_op:
        batch_op.add_column(sa.Column(column, sa.Integer(), nullable=True))
        batch_op.create_foreign_key(key, "certificate", [column], ["id"])
        batch_op.create_index(op.f(f"ix_{table}_{column}"), [column])


def downgrade() -> None:
    _drop("traffic", "default_certificate_id")
    _drop("virtualhost", "certificate_id", table_kwargs={"sqlite_autoincrement": True})


def _drop(table: str, column: str, **kept: object) -> None:
    with op.batch_alter_table(table, **kept) as batch_op:
        batch_op.drop_index(op.f(f"ix_{table}_{column}"))
        batch_op.drop_constraint(op.f(f"fk_{table}_{column}_certificate"), type_="foreignkey")
        batch_op.drop_column(column)
