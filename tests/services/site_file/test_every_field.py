"""A file says each field of each noun: a new one too, which has no value in `values.py` yet, or whose value a save refuses."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guardpanel.models import NOUNS
from guardpanel.models.noun import Noun
from guardpanel.readable_yaml import written
from guardpanel.services.site_file.keys import DEFAULTS, defaults, key_of, part_models, sections
from guardpanel.services.site_file.nodes import read
from tests.services.site_file.files import able, apply, exported, plan
from tests.services.site_file.values import HIDDEN, THEIRS, WITH, Row, base, values

pytestmark = pytest.mark.anyio

FIELDS = [
    (noun, name) for noun in NOUNS.values() for name in noun.fields.model_fields if name not in {noun.within, *HIDDEN}
]
REFERRED = {key for noun in NOUNS.values() for field, key in noun.references.items() if field != noun.within}
"Nouns that others refer to."
COVERING = {"certificate": {"names": ["*.shop.example"]}}


def test_each_field_of_an_item_has_a_value_that_is_no_default() -> None:
    for noun in NOUNS.values():
        for field, model in part_models(noun).items():
            known, items = defaults(model), [item for value in values(noun, field) for item in value]
            other = {name for item in items for name, value in item.items() if value != known.get(name, ...)}
            assert other == set(model.model_fields), field


async def test_a_file_says_each_field(template: Path) -> None:
    """With a row for each of them. Of single rows, one field after the other, since some exclude each other."""
    said: set[str] = set()
    async with able(template) as changes:
        for state in (referred(), *of_single_rows(), of_lists()):
            await apply(changes, written(state), save_anyway=True)
            text = await exported(changes)
            said |= set(differing(read(text).value))

        assert said == {f"{noun.key}.{name}" for noun, name in FIELDS}
        assert (await plan(changes, text, prune=True, save_anyway=True)).steps == ()


def referred() -> Row:
    """What other rows refer to."""
    return {
        noun.module: [base(noun) | {"name": THEIRS} | COVERING.get(noun.key, {})]
        for noun in sections().values()
        if noun.key in REFERRED
    }


def of_lists() -> Row:
    state = referred()
    for number, (noun, name) in enumerate(FIELDS):
        if not noun.only_name:
            rows = state[NOUNS[noun.parent].module][0] if noun.parent else state
            rows.setdefault(noun.module, []).append(apart(noun, a_row(noun, name), number))
    return state


def of_single_rows() -> Iterator[Row]:
    yield from ({noun.module: a_row(noun, name)} for noun, name in FIELDS if noun.only_name)


def a_row(noun: Noun, name: str) -> Row:
    """With another value of this field than the default."""
    return base(noun) | WITH.get(f"{noun.key}.{name}", {}) | {key_of(noun, name): another(noun, name)}


def another(noun: Noun, name: str) -> Any:
    if name in noun.references:
        return [THEIRS] if name.endswith("_ids") else THEIRS
    return next((value for value in values(noun, name) if value != DEFAULTS[noun.key].get(name, ...)), None)


def apart(noun: Noun, row: Row, number: int) -> Row:
    """Known by something else than the other rows."""
    own = {
        "name": f"n{number}", "hostnames": [f"h{number}.shop.example"], "path": f"/{number}", "rule_id": 9000000 + number,
        "rule": values(NOUNS["rule_override"], "rule")[number % 4],
    }  # fmt: skip
    return row | {key: value for key, value in own.items() if key in base(noun)}


def differing(rows: Row, parent: str = "") -> Iterator[str]:
    """The fields that a file says otherwise than their default."""
    for section, noun in sections(parent).items():
        for row in [rows[section]] if noun.only_name else rows.get(section, ()):
            for name in noun.fields.model_fields:
                if key_of(noun, name) in row and row[key_of(noun, name)] != DEFAULTS[noun.key].get(name, ...):
                    yield f"{noun.key}.{name}"
            yield from differing(row, noun.key)
