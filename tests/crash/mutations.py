"""Faults planted in the product, to show that the sweeps would see them. Each takes away one thing that a promise rests on."""

from collections.abc import Callable
from dataclasses import replace

from guardpanel.models import Deployment
from guardpanel.panel import Panel
from guardpanel.services.saving.change import PreparedSave
from tests.crash.syscalls import Shared


def healthy(_panel: Panel, _shared: Shared) -> None:
    """The product as it is."""


def no_settle(panel: Panel, _shared: Shared) -> None:
    """Nobody ends the attempts that a crash cut off."""

    async def nothing() -> None: ...

    panel.changes._end_unrecorded = nothing  # type: ignore[method-assign]


def half_settle(panel: Panel, _shared: Shared) -> None:
    """After a crash the rows go back, but not the release and HAProxy, and nobody looks at what runs."""

    async def nothing() -> None: ...

    async def not_the_release(_prepared: PreparedSave) -> tuple[int, str]:
        return 0, ""

    panel.changes.deployments._put_release_back = not_the_release  # type: ignore[assignment, method-assign]
    panel.reconciler.tick = nothing  # type: ignore[method-assign]


def early_answer(_panel: Panel, shared: Shared) -> None:
    """The operator is told before anything is durable."""
    shared.tell("saved 1")


def old_keys(panel: Panel, _shared: Shared) -> None:
    """After a crash nobody has HAProxy load certificates that it may not have."""
    prepared_before = panel.changes.deployments._prepared_before

    async def without(deployment: Deployment) -> PreparedSave | None:
        prepared = await prepared_before(deployment)
        return prepared and replace(prepared, again=False)

    panel.changes.deployments._prepared_before = without  # type: ignore[method-assign]


def forgotten_bans(panel: Panel, _shared: Shared) -> None:
    """After a crash nobody tells HAProxy which bans it lacks."""

    async def nothing() -> None: ...

    panel.bans.look = nothing  # type: ignore[method-assign]


def forgotten_feeds(panel: Panel, _shared: Shared) -> None:
    """After a crash nobody tells HAProxy which entries of feeds it lacks."""

    async def nothing() -> None: ...

    panel.feeds.mend = nothing  # type: ignore[method-assign]


MUTATIONS: dict[str, Callable[[Panel, Shared], None]] = {
    mutation.__name__: mutation
    for mutation in (no_settle, half_settle, early_answer, old_keys, forgotten_bans, forgotten_feeds)
}
