"""A page of a list, as every list service returns it, and its search."""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlmodel import func, or_

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """`items` start at `offset`. `total` counts all matches, before paging."""

    items: list[T]
    total: int
    offset: int
    limit: int

    @property
    def has_more(self) -> bool:
        return self.offset + len(self.items) < self.total

    @property
    def newer(self) -> int | None:
        return max(0, self.offset - self.limit) if self.offset else None

    @property
    def older(self) -> int | None:
        return self.offset + self.limit if self.has_more else None


def like(text: str) -> str:
    r"""A LIKE pattern that matches `text` anywhere, with `\` as the escape character."""
    text = text.replace("\0", "\ufffd")  # SQLite ends a pattern there, and no stored text contains it.
    for special in ("\\", "%", "_"):
        text = text.replace(special, "\\" + special)
    return f"%{text}%"


def holds(text: str, *columns: Any) -> Any:
    """The condition that one of the columns contains the text, ignoring case."""
    pattern = like(text.strip().lower())
    return or_(*(func.lower(column).like(pattern, escape="\\") for column in columns))
