"""Faults planted in the product, to show that the sweeps would see them. Each takes away one thing that a promise rests on."""

from collections.abc import Callable

from guardpanel.panel import Panel
from guardpanel.services import startup
from guardpanel.services.changes import Changes
from tests.crash.syscalls import Shared


def healthy(_panel: Panel, _shared: Shared) -> None:
    """The product as it is."""


def no_settle(_panel: Panel, _shared: Shared) -> None:
    """Nobody ends the attempts that a crash cut off."""

    async def nothing(_changes: Changes) -> None: ...

    startup.settle = nothing


def no_redeploy(panel: Panel, _shared: Shared) -> None:
    """At start nobody makes sure that the live revision is what lies on disk and what the engines run."""

    async def nothing(_revision: int) -> None: ...

    panel.changes.deploy_again = nothing  # type: ignore[method-assign]


def early_answer(_panel: Panel, shared: Shared) -> None:
    """The operator is told before anything is durable."""
    shared.tell("saved 1")


MUTATIONS: dict[str, Callable[[Panel, Shared], None]] = {
    one.__name__: one for one in (no_settle, no_redeploy, early_answer)
}
