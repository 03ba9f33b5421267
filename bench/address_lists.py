"""Address lists with 100,000 entries: import, one entry more, a ban, and reloads with and without them.

Run by `make bench-address-lists`. Times are from the call to the proof in the live HAProxy, and of the processor in this process.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from os import getloadavg
from statistics import median, quantiles
from time import perf_counter, process_time
from typing import Any

from guardpanel.app import stay_responsive
from guardpanel.engines.runtime.outside_map import OutsideMap
from guardpanel.models.access.address_list import AddressListInput
from guardpanel.models.access.ban import BanFields
from guardpanel.services import address_lists
from guardpanel.services.access.bans import Bans
from guardpanel.services.access.list_edits import adding, replacing
from guardpanel.services.saving.changes import SaveRequest
from tests.haproxies import haproxy_binary
from tests.live.saves import Installation, installation_of

ADA = SaveRequest("ada@example.org")
ENTRIES, ROUNDS = 100_000, 20


def entries(count: int, seed: int = 1) -> str:
    """A fifth of them IPv6."""
    chosen = random.Random(seed)
    v4 = (
        f"{chosen.randrange(11, 120)}.{chosen.randrange(256)}.{chosen.randrange(256)}.{at % 256}"
        for at in range(count * 4 // 5)
    )
    v6 = (f"2001:{at >> 8:x}:{at & 255:x}::/48" for at in range(count // 5))
    return "\n".join([*v4, *v6])


async def timed(do: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Milliseconds, and those of the processor."""
    began, worked = perf_counter(), process_time()
    await do()
    return (perf_counter() - began) * 1000, (process_time() - worked) * 1000


async def several(what: str, do: Callable[[int], Awaitable[object]], rounds: int = ROUNDS) -> None:
    tell(what, [await timed(lambda at=at: do(at)) for at in range(rounds)])  # type: ignore[misc]


def tell(what: str, times: Sequence[tuple[float, float]]) -> None:
    cuts, work = quantiles([time for time, _ in times], n=20), median([work for _, work in times])
    print(f"{what}: p50 {cuts[9]:.0f} ms, p95 {cuts[18]:.0f} ms, processor {work:.0f} ms", flush=True)


async def meanwhile(what: str, work: Coroutine[Any, Any, object], do: Callable[[int], Awaitable[object]]) -> None:
    """As often as it can be done until the work is."""
    task, times = asyncio.create_task(work), []
    while not task.done():
        times.append(await timed(lambda: do(len(times))))
    await task
    tell(what, times)


async def measure(here: Installation) -> None:
    async def entry(number: int, at: int) -> None:
        await address_lists.ROWS.edit(here.changes, ADA, number, adding(f"203.0.{number}.{at}"))

    async def ban(at: int) -> None:
        outcome = await bans.add(here.changes, BanFields(network=f"198.51.100.{at}"), who="ada", client="")
        assert outcome.is_live

    async def add(name: str, count: int) -> int:
        fields = AddressListInput(name=name, entries=entries(count))
        return (await address_lists.create(here.changes, ADA, fields)).value.id or 0

    bans = Bans(here.changes.database, OutsideMap(here.settings.bans_map, here.engines.cli))
    await several("a ban", ban)
    await several("reload without a list", lambda _: here.engines.reload_again(), 5)
    small = await add("Small", 1_000)
    await several("one entry more of 1,000", lambda at: entry(small, at))
    imported, work = await timed(lambda: add("Large", ENTRIES))
    print(f"import of {ENTRIES:,}: {imported:.0f} ms, processor {work:.0f} ms")
    await several("reload with it", lambda _: here.engines.reload_again(), 5)
    await several(f"one entry more of {ENTRIES:,}", lambda at: entry(small + 1, at), 10)
    await several("a ban beside it", lambda at: ban(at + 100))
    others = address_lists.ROWS.edit(here.changes, ADA, small + 1, replacing(entries(ENTRIES, seed=2)))
    await meanwhile("a ban while all are replaced", others, lambda at: ban(at % 250))


async def main() -> None:
    print(f"load {getloadavg()[0]:.1f} on 2 cores")
    stay_responsive()
    async with installation_of(haproxy_binary("2.8")) as here:
        await measure(here)


if __name__ == "__main__":
    asyncio.run(main())
