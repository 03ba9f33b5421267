"""Alembic's environment: synchronous, on the one SQLite file."""

from alembic import context
from sqlalchemy import Connection, create_engine, pool
from sqlmodel import SQLModel

import guardpanel.models  # noqa: F401 registers the tables


def run() -> None:
    engine = create_engine(context.config.get_main_option("sqlalchemy.url") or "", poolclass=pool.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        connection.commit()  # the pragma opened a transaction that nothing else would end
        context.configure(
            connection=connection,
            target_metadata=SQLModel.metadata,
            render_as_batch=True,
            compare_type=True,
        )
        highest = _highest_ids(connection)
        connection.commit()
        with context.begin_transaction():
            context.run_migrations()
        _keep(connection, highest)
        connection.commit()


def _highest_ids(connection: Connection) -> dict[str, int]:
    """By table: the highest id that was ever given."""
    if not connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'").first():
        return {}
    return {row.name: row.seq for row in connection.exec_driver_sql("SELECT name, seq FROM sqlite_sequence")}


def _keep(connection: Connection, highest: dict[str, int]) -> None:
    """A table that is rebuilt, as SQLite needs for a constraint, forgets the ids of what was deleted: they would be given
    again, and the history of one row would be shown as another's."""
    for table in _highest_ids(connection) | highest:
        kept = max(_highest_ids(connection).get(table, 0), highest.get(table, 0))
        connection.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
        has_table = connection.exec_driver_sql(
            "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)
        )
        if has_table.first():
            connection.exec_driver_sql("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, kept))


run()
