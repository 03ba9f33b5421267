"""What the System page says of HAProxy."""

from dataclasses import replace

import pytest

from guardpanel.panel import Panel
from tests.conftest import Person
from tests.factories import a_virtual_host

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("fields", "lua", "drops", "told"),
    [
        ({}, False, False, True),
        ({"maintenance": "on"}, False, False, False),
        ({}, True, False, False),
        ({}, False, True, False),
    ],
)
async def test_it_says_which_uploads_an_haproxy_without_lua_rejects(
    ada: Person, panel: Panel, fields: dict[str, str], *, lua: bool, drops: bool, told: bool
) -> None:
    """Only where some body passes in parts."""
    facts = panel.changes.renderer.facts
    panel.changes.renderer.facts = replace(facts, runs_lua=lua, drops_trailers=drops)
    await ada.post("/virtual-hosts", data=a_virtual_host(**fields))

    assert ("without Lua, this HAProxy" in (await ada.get("/system")).text) is told
