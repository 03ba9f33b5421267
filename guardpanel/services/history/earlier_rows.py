"""Combines current rows with those of an earlier state. Pure: rows in, rows out."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Any

from guardpanel.errors import NotFound
from guardpanel.models import NOUNS
from guardpanel.models.noun import Key, Noun
from guardpanel.rendering import Rows
from guardpanel.services.saving import differences, noun_rows

Row = Mapping[str, Any]


def with_one(now: Rows, then: Rows, noun: str, noun_id: int) -> Rows:
    """The current rows, with one row as it was in the other state, or without it if it did not exist. Its child rows come and go
    with it."""
    table = NOUNS[noun].table_name if noun in NOUNS else ""
    was, is_there = (any(row["id"] == noun_id for row in rows.get(table, ())) for rows in (then, now))
    if not (was or is_there):
        raise NotFound("Nothing to restore: it did not exist then.")
    mixed = _as_then(now, then, NOUNS[noun], noun_id)
    for other in NOUNS.values() if was != is_there else ():
        ids = {
            row["id"] for row in (*now[other.table_name], *then[other.table_name]) if _within(other, row, noun, noun_id)
        }
        for row_id in sorted(ids):
            mixed = _as_then(mixed, then, other, row_id)
    return mixed


def _within(noun: Noun, row: Row, parent: str, parent_id: int) -> bool:
    return noun.parent == parent and row[noun.within] == parent_id


def _as_then(now: Rows, then: Rows, noun: Noun, noun_id: int) -> Rows:
    """The row with its parts."""
    parts = {part.table_name: part.owner for part in noun.parts if part.table}
    mixed = {name: list(rows) for name, rows in now.items()}
    for name, column in {noun.table_name: "id", **parts}.items():
        mixed[name] = [row for row in mixed[name] if row[column] != noun_id]
        mixed[name] += [row for row in then[name] if row[column] == noun_id]
    return {name: _own_ids(rows) if name in parts else rows for name, rows in mixed.items()}


def _own_ids(rows: Sequence[Row]) -> list[Row]:
    """Ids of parts have no meaning: one that another row has by now gets a new id."""
    ids: set[int] = set()
    free = count(max((row["id"] for row in rows), default=0) + 1)
    stamped: list[Row] = []
    for row in rows:
        own = row["id"] if row["id"] not in ids else next(free)
        ids.add(own)
        stamped.append({**row, "id": own})
    return stamped


def stamped(now: Rows, target: Rows, stamp: int, moment: datetime) -> tuple[Rows, list[Key]]:
    """The wanted rows, those that differ from the current ones stamped as edited now.

    What no operator sets (a policy's fixed groups) is also as it was then. `stamp` becomes the row version of what differs. It
    must be higher than any version that the row ever had, so that open forms become stale.
    """
    touched = differences.touched(noun_rows.nouns(now), noun_rows.nouns(target))
    edited = set(touched)
    current = {(noun.key, row["id"]): row for noun in NOUNS.values() for row in now[noun.table_name]}
    fresh = {"version": stamp, "updated_at": moment.strftime("%Y-%m-%d %H:%M:%S.%f")}
    result = dict(target)
    for noun in NOUNS.values():
        result[noun.table_name] = [
            {
                **row,
                **(fresh if (noun.key, row["id"]) in edited else _stamp(current[noun.key, row["id"]])),
                **_secret(noun, row, current.get((noun.key, row["id"]))),
            }
            for row in target[noun.table_name]
        ]
    return result, touched


def _secret(noun: Noun, row: Row, present: Row | None) -> Row:
    """As it is now. It is sealed for the row's name."""
    is_kept = noun.secret and present and present["name"] == row["name"]
    return {noun.secret: present[noun.secret]} if is_kept and present else {}


def _stamp(row: Row) -> Row:
    return {name: row[name] for name in ("version", "updated_at")}
