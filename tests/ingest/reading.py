"""An ingest on a directory, and what it has stored, for tests."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from guardpanel.events import schema
from guardpanel.ingest.run import Ingest
from guardpanel.settings import Settings
from tests.events import as_line

FIRST, SECOND, THIRD = (f"{number:020d}.jsonl" for number in (1, 2, 3))


class Ground:
    """The agent's directory and HAProxy's log, written by hand."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(data_dir=folder)
        self.settings.events_dir.mkdir()
        self.settings.log_dir.mkdir()

    def write(self, segment: str, *lines: Mapping[str, Any] | bytes) -> None:
        """Append lines; bytes as they are."""
        with (self.settings.events_dir / segment).open("ab") as file:
            for line in lines:
                file.write(line if isinstance(line, bytes) else as_line(dict(line)) + b"\n")

    def log(self, *lines: Mapping[str, Any] | bytes) -> None:
        with self.settings.access_log.open("ab") as file:
            for line in lines:
                file.write(line if isinstance(line, bytes) else as_line(dict(line)) + b"\n")

    @contextmanager
    def ingest(self) -> Iterator[Ingest]:
        with closing(Ingest(self.settings)) as ingest:
            yield ingest

    def read_all(self) -> None:
        """As a process of its own that reads what there is."""
        with self.ingest() as ingest:
            while ingest.step():
                pass

    def ask(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.settings.events_database)) as connection:
            return connection.execute(question, values).fetchall()

    def requests(self) -> list[str]:
        """Ids of all requests that have an event, by time."""
        return [row[0] for row in self.ask("SELECT request_id FROM event ORDER BY id")]

    @property
    def counters(self) -> dict[str, int]:
        return dict(self.ask("SELECT name, value FROM counter"))

    def lines(self, request: str) -> tuple[Any, Any]:
        """What the agent and HAProxy said of a request."""
        from guardpanel.events.lines import unpacked

        ((lines,),) = self.ask("SELECT lines FROM event JOIN event_line USING (id) WHERE request_id = ?", request)
        return tuple(json.loads(line) if line else None for line in unpacked(lines))  # type: ignore[return-value]


__all__ = ["FIRST", "SECOND", "THIRD", "Ground", "schema"]
