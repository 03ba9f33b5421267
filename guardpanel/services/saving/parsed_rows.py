"""Rows of snapshots, parsed: a save changes few of thousands, and its rows are known by their texts.

Nothing can make what is kept wrong: equal texts are equal rows, whoever wrote them.
"""

import json
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import takewhile
from typing import Any, NamedTuple

from guardpanel.compact_rows import CompactRow
from guardpanel.rendering.rows import Row, Rows

HEAD = '"rows":['
"Ends the line of a table that has rows. JSON has line breaks neither in texts nor, as SQLite writes it, between them."

PART = 100
"""Lines parsed at once. What is not kept of a part makes room for the next: parsing thousands at once would leave holes all over
the process's memory."""

FEW = 10
"Columns of a row that takes hardly less than as a dict."

Parse = Callable[[str, Sequence[str], Sequence[Sequence[Any]]], Sequence[Row]]
"Table, columns and values by row → rows."


def row_of(snapshot: str, table: str, number: int) -> Row | None:
    """A row as it is in a snapshot, without the columns that were added later. No other table is parsed."""
    at = 1 if snapshot.startswith(f'{{"{table}":') else snapshot.find(f'\n"{table}":') + 1
    if not at:
        return None
    taken, _ = json.JSONDecoder().raw_decode(snapshot, at + len(table) + 3)
    rows = (dict(zip(taken["columns"], values, strict=True)) for values in taken["rows"])
    return next((row for row in rows if row["id"] == number), None)


class Unparsed(NamedTuple):
    """A snapshot's table: its rows are read a part at a time, so that few of thousands are held."""

    columns: Sequence[str]
    lines: Sequence[str]

    def rows(self, column: str, numbers: set[int]) -> Iterator[list[Any]]:
        """Those whose column has one of these numbers."""
        if numbers and self.lines:
            at = self.columns.index(column)
            yield from (row for row in _parsed(self.lines) if row[at] in numbers)

    def all(self) -> Iterator[list[Any]]:
        return _parsed(self.lines)

    def numbers(self, column: str, without: Container[str]) -> set[int]:
        """What the rows have in a column whose lines are not among these."""
        own = [line for line in self.lines if line not in without]
        return {row[self.columns.index(column)] for row in _parsed(own)}


def tables_of(snapshot: str) -> dict[str, Unparsed]:
    return {
        name: Unparsed(columns, [line.removesuffix(",") for line in lines])
        for _, name, columns, lines in _tables(snapshot)
    }


def _compact(row: Row) -> Row:
    return CompactRow(_places(tuple(row)), tuple(row.values())) if len(row) > FEW else row


@lru_cache(maxsize=200)
def _places(names: tuple[str, ...]) -> Mapping[str, int]:
    return {name: at for at, name in enumerate(names)}


class ParsedRows:
    """Of the snapshot that was parsed last. Threads share it."""

    def __init__(self, parse: Parse) -> None:
        self._parse = parse
        self._known: dict[str, Mapping[str, Row]] = {}
        "By the line before a table's rows, with its name and columns, and by the rows' own lines."

    @staticmethod
    def reads(snapshot: str) -> bool:
        """Earlier versions wrote everything in one line."""
        return "\n" in snapshot

    def rows(self, snapshot: str) -> Rows:
        tables: dict[str, Sequence[Row]] = {}
        known: dict[str, Mapping[str, Row]] = {}
        for head, name, columns, lines in _tables(snapshot):
            known[head] = self._parsed(name, columns, lines, self._known.get(head, {}))
            tables[name] = [*known[head].values()]
        self._known = known
        return tables

    def _parsed(
        self, table: str, columns: Sequence[str], lines: Sequence[str], before: Mapping[str, Row]
    ) -> Mapping[str, Row]:
        new = [line for line in lines if line not in before]
        parsed = dict(zip(new, map(_compact, self._parse(table, columns, list(_values(new)))), strict=True))
        return {line: parsed.get(line) or before[line] for line in lines}


def _tables(snapshot: str) -> Iterator[tuple[str, str, Sequence[str], Sequence[str]]]:
    """The line before each table's rows, its name, columns, and the rows' lines."""
    parts = snapshot.split("\n")
    parts[0], parts[-1] = parts[0].removeprefix("{"), parts[-1].removesuffix("}")  # The whole would be copied twice.
    lines = iter(parts)
    for head in lines:
        has_rows = head.endswith(HEAD)
        ((name, table),) = json.loads("{" + (head + "]}" if has_rows else head.removesuffix(",")) + "}").items()
        own = list(takewhile(lambda line: not line.startswith("]"), lines)) if has_rows else []
        yield head, name, table["columns"], own


def _values(lines: Sequence[str]) -> Iterator[list[Any]]:
    """Of thousands of rows, most have the same values in most columns: these are the same objects, and so are empty lists."""
    shared: dict[str | int, str | int] = {}
    empty: list[Any] = []

    def one_of_equal(value: Any) -> Any:
        if type(value) in {str, int}:  # A bool is equal to a number.
            return shared.setdefault(value, value)
        return ([one_of_equal(part) for part in value] or empty) if type(value) is list else value

    for values in _parsed([line.removesuffix(",") for line in lines]):
        yield [one_of_equal(value) for value in values]


def _parsed(lines: Sequence[str]) -> Iterator[list[Any]]:
    for at in range(0, len(lines), PART):
        yield from json.loads("[" + ",".join(lines[at : at + PART]) + "]")
