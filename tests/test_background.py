"""No background task ends in silence: it is logged with its stack, told, and begun again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from guardpanel import background
from guardpanel.background import LONGEST, SHORTEST, Background, Health
from tests.faults import Faults

pytestmark = pytest.mark.anyio

NOW = 1_000.0


class Naps:
    """How long was slept, without the waiting."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await asyncio.sleep(0)


class Script:
    """A step that ends each time as it says there; afterwards it goes through."""

    def __init__(self, *ends: Callable[[], Awaitable[object]]) -> None:
        self.ends = list(ends)
        self.over = asyncio.Event()

    async def __call__(self) -> None:
        if self.ends:
            await self.ends.pop(0)()
        else:
            self.over.set()


async def broken() -> None:
    raise KeyError("patience")


async def fine() -> None:
    """Goes through."""


async def cancelled_by_somebody() -> None:
    waited = asyncio.get_running_loop().create_future()
    waited.cancel()
    await waited


async def kept(step: Script, pause: float = 7.0, longest: float = LONGEST) -> tuple[Health, list[float]]:
    """What is told of a loop after its script, and its pauses."""
    naps = Naps()
    tasks = Background(naps, lambda: NOW)
    tasks.keep("retention", step, pause, longest=longest)
    async with asyncio.timeout(60):
        await step.over.wait()
        await asyncio.sleep(0)
    [health] = tasks.health
    await tasks.close()
    return health, naps.seconds


async def test_a_loop_runs_again_and_again_until_it_is_closed() -> None:
    health, pauses = await kept(Script(fine, fine))

    assert pauses[:2] == [7.0, 7.0]
    assert (health.failures, health.restarts, health.succeeded_at) == (0, 0, NOW)


async def test_an_unexpected_error_is_logged_and_the_loop_continues(faults: Faults) -> None:
    faults.expect()
    health, _ = await kept(Script(broken, broken))

    assert (health.failures, health.restarts, health.words) == (0, 2, "")
    first, second = faults.records
    assert first.getMessage() == "background task retention failed (1 in a row): KeyError('patience')"
    assert "in broken" in logging.Formatter().format(first)
    assert second.exc_info is None, "the same stack again would fill the log"


async def test_failures_are_reported_with_growing_back_off(faults: Faults) -> None:
    faults.expect()
    health, pauses = await kept(Script(*[broken] * 9), longest=10.0)

    assert pauses[:9] == [SHORTEST, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0, 10.0]
    assert health.restarts == 9
    assert background.back_off(10**6, LONGEST) == LONGEST


def test_failures_in_a_row_are_told_in_words(faults: Faults) -> None:
    faults.expect()
    health = Health("retention")
    assert health.words == ""

    health.fail(OSError("No space left on device"))
    assert health.words == "retention: failed once"
    health.fail(OSError("No space left on device"))
    assert (health.words, health.fault) == ("retention: failed 2 times in a row", "OSError")
    health.succeed(NOW)
    assert (health.words, health.fault, health.restarts) == ("", "", 2)


async def test_what_it_waits_for_may_be_cancelled_without_ending_it(faults: Faults) -> None:
    faults.expect()
    health, _ = await kept(Script(cancelled_by_somebody, fine))

    assert (health.failures, health.restarts) == (0, 1)


async def test_a_pause_that_fails_ends_nothing(faults: Faults) -> None:
    faults.expect()
    tasks = Background(Naps())
    pause = Script(broken)
    tasks.keep("retention", fine, pause)

    async with asyncio.timeout(60):
        await pause.over.wait()
    await tasks.close()

    assert [health.restarts for health in tasks.health] == [1]


async def test_a_single_deed_is_tried_until_it_is_done(faults: Faults) -> None:
    faults.expect()
    tasks = Background(Naps(), lambda: NOW)
    async with asyncio.timeout(60):
        await tasks.once("sessions", Script(broken, broken))

    [health] = tasks.health
    assert (health.failures, health.restarts, health.succeeded_at) == (0, 2, NOW)


async def test_closing_ends_what_is_under_way() -> None:
    tasks, begun = Background(), asyncio.Event()

    async def wait_forever() -> None:
        begun.set()
        await asyncio.Event().wait()

    running = tasks.keep("reconcile", wait_forever, 1.0)
    async with asyncio.timeout(60):
        await begun.wait()
        await tasks.close()

    assert running.cancelled()
