"""A field that is left out is judged as its default that is sent: a switch does not turn on what lacks the value that it needs."""

from collections.abc import Iterator
from typing import Any

import pytest

from guardpanel.errors import Invalid
from guardpanel.models import NOUNS
from guardpanel.models.noun import Noun
from guardpanel.services.input import validated
from tests.services.site_file.values import HIDDEN, WITH, Row, base, values

FOLLOWING = "detection_paranoia_level"
"Left out, it is at least the blocking level."


@pytest.mark.parametrize("key", NOUNS)
def test_a_default_is_judged_whether_or_not_it_is_sent(key: str) -> None:
    noun = NOUNS[key]
    defaults = {
        name: info.get_default(call_default_factory=True)
        for name, info in noun.input.model_fields.items()
        if not info.is_required() and name != FOLLOWING
    }

    for row in rows(noun):
        assert judged(noun, row) == judged(noun, defaults | row), row


def rows(noun: Noun) -> Iterator[Row]:
    """Each field with each of its values, beside what each row needs, and alone."""
    known = noun.input.model_fields
    for name in known:
        if name in noun.references or name in HIDDEN:
            continue
        for value in values(noun, name):
            row = base(noun) | WITH.get(f"{noun.key}.{name}", {}) | {name: value}
            yield {each: row[each] for each in row if each in known}
            yield {each: row[each] for each in row if each == name or (each in known and known[each].is_required())}


def judged(noun: Noun, row: Row) -> Any:
    """The values, or the message of each field that is refused."""
    try:
        return validated(noun.input, row).model_dump()
    except Invalid as problem:
        return {name: error.message for name, error in problem.errors.items()}
