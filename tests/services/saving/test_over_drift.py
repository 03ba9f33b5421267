"""What was changed outside guardpanel is overwritten only by whoever has confirmed it, and by a start."""

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.engines import Drift, Place
from guardpanel.errors import Drifted
from guardpanel.panel import Panel
from guardpanel.services.saving.changes import Change, SaveRequest
from guardpanel.services.truth import startup

pytestmark = pytest.mark.anyio


async def nothing(_: AsyncSession) -> None:
    """The rows stay as they are."""


async def test_no_save_of_the_panels_own_overwrites_a_change_by_hand(panel: Panel) -> None:
    """Such as one that has HAProxy answer an authority with another account's key."""
    panel.changes.watch.record((Drift(Place.HAPROXY, "HAProxy runs another configuration."),))

    with pytest.raises(Drifted):
        await panel.changes.save(Change(SaveRequest("guardpanel"), "Answers", quiet=True), nothing)

    assert await startup.bring_up(panel.changes) is None
