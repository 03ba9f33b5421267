"""What the System page says of HAProxy."""

from dataclasses import replace

import pytest

from guardpanel.panel import Panel
from tests.conftest import Person

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("lua", "drops", "said"), [(False, False, True), (True, False, False), (False, True, False), (True, True, False)]
)
async def test_it_says_when_haproxy_hands_trailers_on(
    vera: Person, panel: Panel, *, lua: bool, drops: bool, said: bool
) -> None:
    facts = panel.changes.renderer.facts
    panel.changes.renderer.facts = replace(facts, runs_lua=lua, drops_trailers=drops)

    assert ("this HAProxy cannot filter them" in (await vera.get("/system")).text) is said
