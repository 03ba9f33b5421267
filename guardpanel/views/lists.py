"""Lists: their filters, sort order and page are in the URL."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from guardpanel.services.paging import Paging

LIMIT = 50


@dataclass(frozen=True)
class Listing:
    """`sort` is a key, with `-` for descending. `kept` are the filters."""

    path: str
    sort: str
    wanted_offset: int
    kept: dict[str, str]
    usual: str = "name"
    "The default sort, which the URL omits."

    @property
    def key(self) -> str:
        return self.sort.removeprefix("-")

    @property
    def descending(self) -> bool:
        return self.sort.startswith("-")

    @property
    def offset(self) -> int:
        return min(max(0, self.wanted_offset), 10_000_000)

    @property
    def paging(self) -> Paging:
        return {"sort": self.key, "descending": self.descending, "offset": self.offset}

    @property
    def is_filtered(self) -> bool:
        return any(self.kept.values())

    def url(self, **changed: object) -> str:
        """The URL of this list with changes, on page 1 unless `offset` is given."""
        values = {**self.kept, "sort": self.sort if self.sort != self.usual else "", **changed}
        query = urlencode({name: value for name, value in values.items() if value not in {"", None, 0}})
        return self.path + (f"?{query}" if query else "")

    def option(self, label: str, **chosen: object) -> dict[str, Any]:
        """A choice of a filter (shared/filters.html): this list with `chosen`."""
        current = all(self.kept[name] == str(value) for name, value in chosen.items())
        return {"label": label, "url": self.url(**chosen), "current": current}

    def options(self, name: str, labels: Mapping[Any, str]) -> list[dict[str, Any]]:
        """All choices of the filter `name`, by value."""
        return [self.option(label, **{name: value}) for value, label in labels.items()]

    def sorted_by(self, key: str) -> str:
        """`ascending`, `descending` or empty, for aria-sort."""
        return ("descending" if self.descending else "ascending") if self.key == key else ""

    def sort_url(self, key: str) -> str:
        return self.url(sort=f"-{key}" if self.sort == key else key)
