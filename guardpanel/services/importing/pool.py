"""A backend's lines on their way into a virtual host, or into one of its paths."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from guardpanel.services.importing.hosts import Row, Values
from guardpanel.services.importing.outcomes import Line
from guardpanel.services.importing.proxies import key_of
from guardpanel.services.importing.servers import ServerLine


@dataclass
class Pool:
    """A row, and what its lines have said of servers and checks so far."""

    row: Row
    lines: Sequence[Line]
    shared: ServerLine = field(default_factory=ServerLine)
    "Of `default-server`."
    servers: list[tuple[Line, ServerLine, Values]] = field(default_factory=list)

    @property
    def is_path(self) -> bool:
        return self.row.noun == "path_binding"

    def has(self, key: str) -> bool:
        return any(key_of(line) == key for line in self.lines)
