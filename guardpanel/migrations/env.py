"""Alembic's environment: synchronous, on the one SQLite file."""

from alembic import context
from sqlalchemy import create_engine, pool
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
        with context.begin_transaction():
            context.run_migrations()


run()
