"""Clients, hosts and paths: each text once, and its number in the rows of the events."""

import json
import sqlite3
from collections.abc import Callable, Collection

MOST_KNOWN = 100_000
"Texts whose numbers are kept in memory, of each kind."


class Names:
    """One of the tables. `forget` when a transaction is undone or rows are removed: numbers may then be another's."""

    def __init__(self, table: str, row: Callable[[str], tuple[object, ...]] = lambda text: (text,)) -> None:
        self.table = table
        self._row = row
        self._known: dict[str, int] = {}

    def learn(self, connection: sqlite3.Connection, texts: Collection[str]) -> None:
        """Afterwards each of the texts has a number."""
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
