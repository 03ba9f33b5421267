"""Databases of earlier versions, made from one of now."""

from pathlib import Path

from alembic import command
from alembic.config import Config

from guardpanel.database import MIGRATIONS


def downgrade(file: Path, schema: str) -> None:
    """Bring the database back to an earlier schema; what only later ones hold is lost."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("sqlalchemy.url", f"sqlite:///{file}")
    command.downgrade(config, schema)
