"""Whatever the configuration is, its file says all of it: applied anywhere, it is the same again, and nothing more."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from guardpanel.errors import Problem
from guardpanel.readable_yaml import written
from guardpanel.services.saving.changes import Changes
from guardpanel.services.site_file.keys import labels, sections
from guardpanel.services.site_file.nodes import read
from guardpanel.services.site_file.plans import Plan
from tests.examples import share
from tests.services.saved import files, rows
from tests.services.site_file.files import able, apply, exported, plan
from tests.services.site_file.states import states, without
from tests.services.site_file.values import Row, secrets

PAIRS = share(0.5) if share(1) > 100 else 5
"Of states: `make nightly` tries 1,000."

WHOLE = {"prune": True, "save_anyway": True}


async def becomes(changes: Changes, state: Row) -> str:
    """The export, once a state is applied by its file: applied again, it is nothing new."""
    planned = await accepted(changes, state)
    saved = await apply(changes, written(state), **WHOLE)
    assert [step.change.summary for step in planned.steps] == (
        [step.change.summary for step in saved.value] if saved else []
    )
    before, text = (await rows(changes), files(changes)), await exported(changes)
    assert (await plan(changes, text, **WHOLE)).steps == ()
    assert await apply(changes, text, **WHOLE) is None
    assert (await rows(changes), files(changes)) == before
    return text


async def accepted(changes: Changes, state: Row) -> Plan:
    """The plan of a state, out of which is taken what is refused."""
    while True:
        try:
            return await plan(changes, written(state), **WHOLE)
        except Problem as problem:
            without(state, problem.errors)


def with_secrets(rows: Row, parent: str = "") -> Row:
    """With what an export does not have, for a panel without these rows."""
    for section, noun in sections(parent).items():
        for row in [] if noun.only_name else rows.get(section, ()):
            row.update(secrets(noun, row))
            with_secrets(row, noun.key)
    return rows


def meaning(document: Any, called: Mapping[str, str]) -> Any:
    """Rows are in the order in which they were added, which differs with what was there before, and so do numbers of equal names."""
    if isinstance(document, dict):
        return {key: meaning(value, called) for key, value in document.items()}
    if isinstance(document, list):
        return sorted((meaning(each, called) for each in document), key=repr)
    return called.get(document, document) if isinstance(document, str) else document


def with_hostnames(text: str) -> Any:
    """Virtual hosts of the same name are referred to by their first hostname."""
    document = read(text).value
    hosts = document["virtual_hosts"]
    numbered = labels(enumerate(str(host["name"]) for host in hosts))
    called = {label: hosts[at]["hostnames"][0] for at, label in numbered.items() if "#" in label}
    return meaning(document, called)


async def round_trip(changes: Changes, first: Row, second: Row) -> None:
    then = await becomes(changes, first)
    await becomes(changes, second)
    try:
        await apply(changes, written(with_secrets(read(then).value)), **WHOLE)
    except Problem as refused:
        refused.add_note(f"{refused.errors} in\n{then}")
        raise
    again = await exported(changes)
    assert with_hostnames(again) == with_hostnames(then)
    assert (await plan(changes, then, **WHOLE)).steps == ()


@pytest.mark.timeout(60 * PAIRS)
def test_a_state_is_the_same_again_by_its_file(template: Path) -> None:
    """On one panel, whose states follow each other."""

    @settings(
        max_examples=PAIRS, deadline=None, phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
    )  # fmt: skip
    @given(states(), states())
    def each(first: Row, second: Row) -> None:
        runner.run(round_trip(changes, first, second))

    with asyncio.Runner() as runner:
        context = able(template)
        changes = runner.run(context.__aenter__())
        try:
            each()
        finally:
            runner.run(context.__aexit__(None, None, None))
