"""Values that never had an effect, and are refused by now, are gone: a row with one could not be saved again

Revision: 0014, after 0013
"""

import json

import sqlalchemy as sa
from alembic import op

from guardpanel.models.former_values import LISTS, NOW, mended

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in NOW:
        columns = {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
        names = sorted(columns & LISTS)
        rows = op.get_bind().execute(sa.text(f"SELECT id, {', '.join(names)} FROM {table}")).mappings().all()
        for row in rows:
            stored = {name: json.loads(row[name]) for name in names}
            after, _ = mended(table, stored)
            for name in names:
                if after[name] != stored[name]:
                    values = {"id": row["id"], "value": json.dumps(after[name])}
                    op.execute(sa.text(f"UPDATE {table} SET {name} = :value WHERE id = :id").bindparams(**values))


def downgrade() -> None:
    """What is gone had no effect."""
