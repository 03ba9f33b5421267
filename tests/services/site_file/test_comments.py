"""The comments of an export name the default of each key that may be left out: written out, it changes nothing."""

import re

import pytest

from guardpanel.models.noun import Noun
from guardpanel.readable_yaml import written
from guardpanel.services.saving.changes import Changes
from guardpanel.services.site_file.keys import defaults, key_of, part_models, sections
from guardpanel.services.site_file.nodes import read
from tests.services.site_file.files import apply, exported, plan
from tests.services.site_file.values import HIDDEN, Row, base

pytestmark = pytest.mark.anyio

COMMENT = re.compile(r"^#(  +\w+:.*)$", re.MULTILINE)


def commented(text: str, section: str) -> Row:
    """What the comments above a section say, as its keys."""
    above = text[: text.index(f"\n{section}:")].rpartition("\n\n")[2]
    keys: Row = read("\n".join(COMMENT.findall(above))).value
    return keys


async def test_comments_name_each_key_that_may_be_left_out(changes: Changes) -> None:
    text = await exported(changes)

    assert {section: all_keys(commented(text, section)) for section in sections()} == {
        section: all_that_may_be_left_out(noun) for section, noun in sections().items()
    }


def all_keys(row: Row) -> Row:
    return {key: all_keys(value) if isinstance(value, dict) else None for key, value in row.items()}


def all_that_may_be_left_out(noun: Noun) -> Row:
    parts = {name: dict.fromkeys(defaults(model)) for name, model in part_models(noun).items()}
    within = {key: all_that_may_be_left_out(child) for key, child in sections(noun.key).items()}
    return {**{key_of(noun, name): None for name in defaults(noun.fields)}, **parts, **within}


async def test_a_default_that_is_written_out_changes_nothing(changes: Changes) -> None:
    text, rows = await exported(changes), {section: [base(noun)] for section, noun in sections().items()}
    saying = {section: [whole(noun, base(noun), commented(text, section))] for section, noun in sections().items()}
    for section, noun in sections().items():
        for child, own in sections(noun.key).items():
            rows[section][0][child] = [base(own)]
            saying[section][0][child] = [whole(own, base(own), commented(text, section)[child])]

    await apply(changes, file(rows), save_anyway=True)

    assert (await plan(changes, file(saying), save_anyway=True)).steps == ()


def whole(noun: Noun, row: Row, keys: Row) -> Row:
    """A row with all that the comments say of its keys, and of those of its items."""
    items = {name: [{**keys[name], **item} for item in row[name]] for name in part_models(noun) if name in row}
    own = {key: value for key, value in keys.items() if key not in {*part_models(noun), *HIDDEN, *sections(noun.key)}}
    return {**own, **row, **items}


def file(rows: dict[str, list[Row]]) -> str:
    return written(
        {section: rows[section][0] if noun.only_name else rows[section] for section, noun in sections().items()}
    )
