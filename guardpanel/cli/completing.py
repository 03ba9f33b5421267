"""What a shell completes arguments with: names as the database has them. Without models, since a person waits for it."""

import os
import re
from collections.abc import Callable

VARIABLE = "_GUARDPANEL_COMPLETE"
"Where typer's script says which shell asks."

NAMES = {
    "virtualhost": "SELECT name FROM virtualhost ORDER BY name",
    "policy": "SELECT name FROM policy ORDER BY name",
    "ban": "SELECT DISTINCT network FROM ban WHERE lifted_at IS NULL AND coalesce(ends_at > datetime('now'), 1) ORDER BY network",
}

MOST = 200


def names_of(table: str) -> Callable[[str], list[str]]:
    """For `autocompletion=`. None if the database can't be read: a shell must not get error messages."""

    def names(incomplete: str) -> list[str]:
        import sqlite3
        from contextlib import closing
        from pathlib import Path

        from pydantic import ValidationError
        from sqlalchemy import make_url

        from guardpanel.settings import Settings

        try:
            path = Path(make_url(Settings().database).database or "").absolute()
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=1)) as connection:
                rows = [name for (name,) in connection.execute(NAMES[table])]
        except (ValidationError, sqlite3.Error):
            return []
        return [in_shell(name) for name in rows if name.startswith(incomplete)][:MOST]

    return names


def in_shell(name: str) -> str:
    """As bash inserts it: other shells escape for themselves."""
    return re.sub(r"([^\w@%+=:,./-])", r"\\\1", name) if "bash" in os.environ.get(VARIABLE, "") else name
