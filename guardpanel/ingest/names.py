"""Clients, hosts and paths: each text is stored once, and events refer to its number."""

import json
import sqlite3
from collections.abc import Callable, Collection

MOST_KNOWN = 100_000
"Cached numbers of each kind."


class Names:
    """One of these tables. Call `forget` after a rollback or when rows are removed, since numbers may be reused."""

    def __init__(self, table: str, row: Callable[[str], tuple[object, ...]] = lambda text: (text,)) -> None:
        self.table = table
        self._row = row
        self._known: dict[str, int] = {}

    def learn(self, connection: sqlite3.Connection, texts: Collection[str]) -> None:
        """Ensure that each text has a number."""
        new = {text for text in texts if text not in self._known}
        if not new:
            return
        if len(self._known) + len(new) > MOST_KNOWN:
            self._known.clear()
            new = set(texts)
        rows = [self._row(text) for text in new]
        columns, places = ("text, key", "?, ?") if len(rows[0]) == 2 else ("text", "?")
        connection.executemany(f"INSERT OR IGNORE INTO {self.table} ({columns}) VALUES ({places})", rows)  # noqa: S608
        self._known.update(
            connection.execute(
                f"SELECT text, {self.table}.id FROM json_each(?) CROSS JOIN {self.table} ON text = value",  # noqa: S608
                (json.dumps(list(new)),),
            )
        )

    def __getitem__(self, text: str) -> int:
        return self._known[text]

    def forget(self) -> None:
        self._known.clear()
