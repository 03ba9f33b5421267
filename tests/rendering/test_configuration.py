"""What a save does not change of haproxy.cfg is not rendered again, and what is kept of the state before never shows."""

from collections.abc import Iterator
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import replace
from random import Random
from typing import Any
from unittest.mock import patch

import pytest

from guardpanel import rendering
from guardpanel.bundle import Bundle, Origin
from guardpanel.kept import Kept, KeptLast
from guardpanel.rendering import DesiredState, EngineFacts, Rows, backends, haproxy, render, templates
from guardpanel.rendering.backends import Shared
from guardpanel.rendering.configuration import Configuration, Configurations, Surroundings
from tests.rendering.case import Case, cases
from tests.rows import FACTS, rows

SHOP = {"servers": [{"address": "127.0.0.1:80"}], "policy": "P"}


def with_row(before: Rows, table: str, at: int, **values: Any) -> Rows:
    """One row is another object, as after a save."""
    return {**before, table: [{**row, **values} if n == at else row for n, row in enumerate(before[table])]}


def flipped(before: Rows) -> Iterator[Rows]:
    """With another server, and with each flag of each virtual host turned over."""
    for at, server in enumerate(before["server"]):
        yield with_row(before, "server", at, weight=server["weight"] + 1)
        yield with_row(before, "server", at, enabled=not server["enabled"])
        yield with_row(before, "server", at, address="192.0.2.99:99")
    for at, host in enumerate(before["virtualhost"]):
        for name in [name for name, value in host.items() if isinstance(value, bool) and name != "answers_unknown"]:
            yield with_row(before, "virtualhost", at, **{name: not host[name]})


def bundle(state: Rows, facts: EngineFacts) -> Bundle:
    return render(DesiredState.from_rows(state, facts))


def anew(state: Rows, facts: EngineFacts) -> Bundle:
    with patch.object(rendering, "CONFIGURATIONS", Configurations()):
        return bundle(state, facts)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_after_any_other_state_one_is_rendered_as_it_is_at_first(case: Case) -> None:
    given, facts = case.rows, case.facts
    for state in flipped(given):
        assert bundle(state, facts) == anew(state, facts)
        assert bundle(given, facts) == anew(given, facts)


class Whole(Configurations):
    """Renders all of each state, and keeps nothing of it."""

    def of(self, state: DesiredState) -> Configuration:
        shared = Shared.of(state)
        parts = [section for host in state.virtual_hosts for section in backends.sections(host, state, shared)]
        return Configuration(
            Surroundings.of(state), [backends.backend.__wrapped__(each, shared.common) for each in parts]
        )


def whole(state: Rows, facts: EngineFacts) -> Bundle:
    with ExitStack() as patched:
        for kept in (Kept, KeptLast):
            patched.enter_context(patch.object(kept, "get", lambda _self, _inputs, make: make()))
        patched.enter_context(patch.object(rendering, "CONFIGURATIONS", Whole()))
        return bundle(deepcopy(state), facts)


def changed(before: Rows, chance: Random) -> Rows:
    """As after a save of a virtual host, a server or a policy, or of several: other rows are the same objects."""
    after = before
    for _ in range(chance.randint(1, 3)):
        table = chance.choice([name for name in ("virtualhost", "server", "policy", "pathbinding") if after[name]])
        at = chance.randrange(len(after[table]))
        row = after[table][at]
        if table == "server" and chance.random() < 0.3:
            rest = [each for each in after[table] if each is not row]
            several = sum(each["virtual_host_id"] == row["virtual_host_id"] for each in rest) > 0
            after = {**after, table: rest} if several else after
            continue
        flags = {
            name: not value for name, value in row.items() if isinstance(value, bool) and name != "answers_unknown"
        }
        values = {"weight": chance.randint(1, 256), "address": f"192.0.2.{chance.randint(1, 99)}:80"}
        values |= {"enforcement_mode": chance.choice(["block", "detect_only", "off"])}
        name = chance.choice([*flags, *(name for name in values if name in row)])
        after = with_row(after, table, at, **{name: flags.get(name, values.get(name))})
    return after


@pytest.mark.parametrize("seed", range(6))
def test_after_random_saves_all_is_as_in_a_render_of_everything(seed: int) -> None:
    chance = Random(seed)
    case = chance.choice([case for case in cases() if len(case.rows["virtualhost"]) > 1])
    state = case.rows
    for _ in range(7):
        state = changed(state, chance)
        rendered, expected = bundle(state, case.facts), whole(state, case.facts)
        assert rendered == expected
        assert dict(rendered.origins["haproxy.cfg"]) == dict(expected.origins["haproxy.cfg"])


def test_a_server_that_moves_has_only_its_backend_rendered() -> None:
    before = rows({"P": {}}, {"shop.example": SHOP, "b.example": SHOP})
    facts = replace(FACTS, moves_servers=True)
    first = bundle(before, facts)
    with (
        patch.object(haproxy, "frame", wraps=haproxy.frame) as frame,
        patch.object(backends, "template", wraps=templates.template) as template,
    ):
        moved = bundle(with_row(before, "server", 0, address="127.0.0.9:81"), facts)
        assert (frame.call_count, template.call_count) == (0, 1)
        bundle(with_row(before, "virtualhost", 0, maintenance=True), facts)
        assert frame.call_count == 1
    assert moved.checksum == first.checksum
    assert moved.data["servers.txt"].count(b"127.0.0.9:81") == moved.files["haproxy.cfg"].count(b"127.0.0.9:81") == 1


def test_a_line_behind_the_backends_is_of_the_field_that_it_came_from() -> None:
    made = bundle(
        rows({"P": {}}, {"shop.example": SHOP, "b.example": {"answers_unknown": True, "servers": SHOP["servers"]}}),
        FACTS,
    )
    lines = made.files["haproxy.cfg"].decode().split("\n")
    of_field = Origin("virtual_host", 2, "answers_unknown")
    ours = [lines[line - 1] for line, origin in made.origins["haproxy.cfg"].items() if origin == of_field]
    assert any("set-var(txn.gp.vhost) str(2)" in line for line in ours)
    assert any("set-header host 'b.example'" in line for line in ours)
    assert len(ours) == 2
