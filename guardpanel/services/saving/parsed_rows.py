"""Rows of snapshots, parsed: a save changes few of thousands, and its rows are known by their texts.

Nothing can make what is kept wrong: equal texts are equal rows, whoever wrote them.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any

from guardpanel.rendering.rows import Row, Rows

HEAD = '"rows":['
"Ends the line of a table that has rows. JSON has line breaks neither in texts nor, as SQLite writes it, between them."

PART = 100
"""Lines parsed at once. What is not kept of a part makes room for the next: parsing thousands at once would leave holes all over
the process's memory."""

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
        lines = iter(snapshot.removeprefix("{").removesuffix("}").split("\n"))
        for head in lines:
            if not head.endswith(HEAD):  # Without rows.
                ((name, _),) = json.loads("{" + head.removesuffix(",") + "}").items()
                tables[name] = []
                continue
            ((name, table),) = json.loads("{" + head + "]}}").items()
            own = list(takewhile(lambda line: not line.startswith("]"), lines))
            known[head] = self._parsed(name, table["columns"], own, self._known.get(head, {}))
            tables[name] = [*known[head].values()]
        self._known = known
        return tables

    def _parsed(
        self, table: str, columns: Sequence[str], lines: Sequence[str], before: Mapping[str, Row]
    ) -> Mapping[str, Row]:
        new = [line for line in lines if line not in before]
        parsed = dict(zip(new, self._parse(table, columns, list(_values(new))), strict=True))
        return {line: parsed.get(line) or before[line] for line in lines}


def _values(lines: Sequence[str]) -> Iterator[list[Any]]:
    """Of thousands of rows, most have the same values in most columns: these are the same objects."""
    shared: dict[str | int, str | int] = {}

    def one_of_equal(value: Any) -> Any:
        if type(value) in {str, int}:  # A bool is equal to a number.
            return shared.setdefault(value, value)
        return [one_of_equal(part) for part in value] if type(value) is list else value

    for at in range(0, len(lines), PART):
        for values in json.loads("[" + "".join(lines[at : at + PART]).removesuffix(",") + "]"):
            yield [one_of_equal(value) for value in values]
