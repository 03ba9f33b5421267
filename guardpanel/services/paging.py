"""A page of a list, as every list service returns it, and its search."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypedDict, TypeVar

from sqlalchemy import tuple_
from sqlalchemy.orm import Session
from sqlmodel import asc, desc, func, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import Invalid

T = TypeVar("T")

Key = tuple[str | int | float, ...]
"What a row is sorted by. No two rows of a list have the same."

LARGEST = 2**63 - 1
"Of SQLite's numbers."

PART = 100
"Rows read at once: creating their objects blocks the event loop."


class Portion(TypedDict, total=False):
    """Where a page begins: `after` the row with this key, whether or not it still exists, else at `offset`."""

    after: Key | None
    offset: int
    limit: int


class Sorted(Portion, total=False):
    descending: bool


class Paging(Sorted, total=False):
    """`sort` is a key of the list's sorts."""

    sort: str


@dataclass(frozen=True)
class Page(Generic[T]):
    """`items` start at `offset`. `total` counts all matches, before paging. `last` is the key of the last item."""

    items: list[T]
    total: int
    offset: int
    limit: int
    last: Key | None = None

    @property
    def has_more(self) -> bool:
        return self.offset + len(self.items) < self.total

    @property
    def newer(self) -> int | None:
        return max(0, self.offset - self.limit) if self.offset else None

    @property
    def older(self) -> int | None:
        return self.offset + self.limit if self.has_more else None


def cut(
    rows: Sequence[T],
    key: Callable[[T], Key],
    *,
    descending: bool = False,
    after: Key | None = None,
    offset: int = 0,
    limit: int = 50,
) -> Page[T]:
    """A page of rows that are sorted by this key."""
    if after is not None and rows:
        must_be_like(after, key(rows[0]))
        upwards = rows[::-1] if descending else rows
        offset = len(rows) - bisect_left(upwards, after, key=key) if descending else bisect_right(rows, after, key=key)
    items = list(rows[offset : offset + limit])
    return Page(items, len(rows), offset, limit, key(items[-1]) if items else None)


async def cut_in_sql(
    session: AsyncSession,
    query: Any,
    columns: Sequence[Any],
    loading: Sequence[Any] = (),
    *,
    descending: bool = False,
    after: Key | None = None,
    offset: int = 0,
    limit: int = 50,
) -> Page[Any]:
    """A page of the rows that the query selects, sorted by these columns: texts, and last the ID. Of all rows, only these columns
    are sorted, and once: sorting thousands of whole rows for each part takes longer than to read the page."""
    keys = query.with_only_columns(*columns, maintain_column_froms=True)
    total = select(func.count()).select_from(keys.subquery())
    rest = keys
    if after is None:
        count = (await session.exec(total)).one()
    else:
        must_be_like(after, (*[""] * (len(columns) - 1), 0))
        place, here = tuple_(*columns), tuple_(*after[:-1], max(-LARGEST, min(int(after[-1]), LARGEST)))
        rest = keys.where(place < here if descending else place > here)
        left = select(func.count()).select_from(rest.subquery())
        count, number = (await session.exec(select(total.scalar_subquery(), left.scalar_subquery()))).one()
        offset = count - number
    ordered = rest.order_by(*map(desc if descending else asc, columns))
    portion = ordered.offset(0 if after else offset).limit(min(limit, max(0, count - offset)))
    page_keys = await session.run_sync(_rows, portion) if offset < count else ()
    rows = await _whole(session, query.options(*loading), columns[-1], [key[-1] for key in page_keys])
    return Page(rows, count, offset, limit, tuple(page_keys[-1]) if page_keys else None)


async def _whole(session: AsyncSession, query: Any, column: Any, ids: Sequence[int]) -> list[Any]:
    """The rows with these IDs, in their order, a part at a time."""
    rows: dict[int, Any] = {}
    for at in range(0, len(ids), PART):
        rows |= {row.id: row for row in (await session.exec(query.where(column.in_(ids[at : at + PART])))).all()}
    return [rows[number] for number in ids]


def _rows(session: Session, query: Any) -> Sequence[Any]:
    """SQLModel's own `exec` returns the first column alone."""
    return Session.execute(session, query).all()


def must_be_like(after: Key, key: Key) -> None:
    """Raises Invalid (422) for a cursor of another list."""
    if list(map(type, after)) != list(map(type, key)):
        raise Invalid.at("cursor", "This cursor is of another list. Start again without one.")


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
