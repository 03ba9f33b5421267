"""What no field takes, in each field of a file: refused at its line and key, in words for people, also within rows of a list."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guardpanel.errors import Problem
from guardpanel.models import NOUNS
from guardpanel.models.noun import Noun
from guardpanel.readable_yaml import written
from guardpanel.services.site_file.keys import keys, part_models
from guardpanel.services.site_file.nodes import Node, read
from tests.services.site_file.files import able, apply, plan
from tests.services.site_file.test_every_field import apart, referred
from tests.services.site_file.values import Row, base, values

pytestmark = pytest.mark.anyio

ODD: dict[str, Any] = {
    "list of lists": [[], [["x"]]], "list of objects": [{"a/b": 1}, None], "object": {"a.b": {"c": [1]}}, "no number": float("nan"), "empty": "",
}  # fmt: skip
NEVER = "object"
"What no field is."
OF_A_LIBRARY = ("Input should", "Value error", "object has no", "NoneType", "'list'", "'dict'")


def with_each(noun: Noun, odd: Any) -> Iterator[tuple[str, Row]]:
    """Each key, or key of a list's item, with a row that has the odd value there."""
    fields = [(key, name) for key, name in keys(noun).items() if name != noun.within]
    for key, name in fields:
        yield key, {key: odd}
        if name in part_models(noun):
            item = next(value[0] for value in values(noun, name) if value)
            yield from (
                (f"{key}.1.{each}", {key: [item, item | {each: odd}]}) for each in part_models(noun)[name].model_fields
            )


def files(noun: Noun, odd: Any) -> Iterator[tuple[str, list[str]]]:
    """With the places of the odd values. One file, but for a noun with a single row."""
    rows = [(place, apart(noun, base(noun), number) | row) for number, (place, row) in enumerate(with_each(noun, odd))]
    if noun.only_name:
        yield from ((written({**referred(), noun.module: row}), [f"{noun.module}.{place}"]) for place, row in rows)
        return
    state = referred()
    above = state[NOUNS[noun.parent].module][0] if noun.parent else state
    first = above.setdefault(noun.module, [])
    before = f"{NOUNS[noun.parent].module}.0." if noun.parent else ""
    places = [f"{before}{noun.module}.{number}.{place}" for number, (place, _) in enumerate(rows, len(first))]
    first += [row for _, row in rows]
    yield written(state), places


def line_of(root: Node, place: str) -> int:
    """Of the key, or of what is above it."""
    node, line = root, 1
    for part in place.split("."):
        below = (
            node.by_key.get(part) if node.by_key else node.items[int(part)] if node.items and part.isdecimal() else None
        )
        if below is None:
            return line
        node, line = below, below.key_line or below.line
    return line


@pytest.mark.parametrize("kind", ODD)
async def test_an_odd_value_is_refused_at_its_place(template: Path, kind: str) -> None:
    async with able(template) as changes:
        await apply(changes, written(referred()), save_anyway=True)
        for noun in NOUNS.values():
            for text, places in files(noun, ODD[kind]):
                try:
                    await plan(changes, text)
                except Problem as problem:
                    errors = problem.errors
                else:
                    errors = {}
                root = read(text)
                wrong = {
                    place: error for place, error in errors.items() if error.where != f"line {line_of(root, place)}"
                }
                assert wrong == {}
                assert [error for error in errors.values() if any(word in error.message for word in OF_A_LIBRARY)] == []
                if kind == NEVER:
                    assert [place for place in places if not any(each.startswith(place) for each in errors)] == []
