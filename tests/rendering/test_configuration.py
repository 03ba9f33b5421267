"""What a save does not change of haproxy.cfg is not rendered again, and what is kept of the state before never shows."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest

from guardpanel import rendering
from guardpanel.bundle import Bundle, Origin
from guardpanel.rendering import DesiredState, EngineFacts, Rows, backends, haproxy, render, templates
from guardpanel.rendering.configuration import Configurations
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
