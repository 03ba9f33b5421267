"""The rows of nouns out of those of all tables."""

from collections import defaultdict
from collections.abc import Container, Iterator, Mapping
from typing import Any

from guardpanel.models import NOUNS
from guardpanel.models.meta import about
from guardpanel.models.noun import Key, Noun, Part
from guardpanel.rendering import Rows


def nouns(rows: Rows, only: Container[Key] | None = None) -> dict[Key, dict[str, Any]]:
    """Rows (None: all of them) as stored values by field, with their names, parts and order."""
    return {
        (noun.key, row["id"]): {
            "name": noun.name(row),
            **{name: row[name] for name in (*about(noun.fields), *filter(None, [noun.within]))},
        }
        for noun in NOUNS.values()
        for row in with_parts(noun, rows, only)
    }


def with_parts(noun: Noun, rows: Rows, only: Container[Key] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a noun, each with the items of its parts by field. One after the other: there may be thousands."""
    parts = {part.field: _items_of(noun, part, rows, only) for part in noun.parts if part.table}
    for row in rows[noun.table_name]:
        if only is None or (noun.key, row["id"]) in only:
            yield {**row, **{name: items[row["id"]] for name, items in parts.items()}}


def _items_of(noun: Noun, part: Part, rows: Rows, only: Container[Key] | None) -> Mapping[int, list[Any]]:
    """By the id of their owner, in the operator's order."""
    items: dict[int, list[Any]] = defaultdict(list)
    for row in sorted(rows[part.table_name], key=lambda row: row["position"]):
        if only is None or (noun.key, row[part.owner]) in only:
            items[row[part.owner]].append(part.item(row))
    return items
