"""What a backup, a restore and retention cost, and what a save costs beside them.

    make bench-backup          (or: .venv/bin/python -m bench.backup --hosts 1000 --revisions 300)

The database and all of guardpanel are real, the engines do as they are told: what is measured is the panel. Beside
each line stands the longest time that the event loop was kept from anything else.
"""

import argparse
import asyncio
import io
import statistics
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

from sqlmodel.ext.asyncio.session import AsyncSession

from bench.changes import a_row
from guardpanel.app import stay_responsive
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.panel import Panel
from guardpanel.services import virtual_hosts
from guardpanel.services.backups import restores
from guardpanel.services.saving.change import Change, SaveRequest
from guardpanel.services.truth import startup
from guardpanel.settings import Settings
from tests.fakes import FAKES
from tests.ports import free_port

T = TypeVar("T")

ADA = SaveRequest("ada@example.org")
PASSPHRASE = "correct horse battery"


async def a_panel(folder: str) -> Panel:
    settings = Settings(data_dir=Path(folder), http_bind=f"127.0.0.1:{free_port()}", keep_releases=20)
    panel = await Panel.open(settings, supervise=False, parts=FAKES)
    assert await startup.bring_up(panel.changes) is None
    return panel


async def fill(panel: Panel, hosts: int, revisions: int) -> None:
    async def mutate(session: AsyncSession) -> None:
        session.add_all([a_row(number) for number in range(hosts)])

    await panel.changes.save(Change(ADA, "Added all of them"), mutate)
    await saves(panel, "before", revisions)


async def saves(panel: Panel, word: str, most: int, beside: "asyncio.Task[object] | None" = None) -> list[float]:
    """Seconds of each save: so many, or until the task beside them is done."""
    took: list[float] = []
    while len(took) < most and not (beside is not None and beside.done()):
        fields = {"hostnames": [f"{word}-{len(took)}.example"], "servers": [{"address": "10.0.0.1:80"}], "policy_id": 1}
        began = time.perf_counter()
        await virtual_hosts.create(panel.changes, ADA, VirtualHostFields.model_validate(fields))
        took.append(time.perf_counter() - began)
    return took


async def timed(what: str, work: Awaitable[T]) -> T:
    steps: list[float] = []
    watching = asyncio.create_task(watch(steps))
    began = time.perf_counter()
    done = await work
    took = time.perf_counter() - began
    watching.cancel()
    print(f"{what:<52} {took:6.2f} s   event loop held for {max(steps, default=0) * 1000:4.0f} ms at most", flush=True)
    return done


async def watch(steps: list[float]) -> None:
    while True:
        began = time.perf_counter()
        await asyncio.sleep(0.002)
        steps.append(time.perf_counter() - began - 0.002)


def say(what: str, took: list[float]) -> None:
    print(f"{what:<52} {statistics.median(took):6.2f} s   median of {len(took)}, longest {max(took):.2f} s", flush=True)


async def measure(hosts: int, revisions: int) -> None:
    with tempfile.TemporaryDirectory(prefix="gp") as first, tempfile.TemporaryDirectory(prefix="gp") as second:
        panel, other = await a_panel(first), await a_panel(second)
        await fill(panel, hosts, revisions)
        stay_responsive()
        size = (Path(first) / "guardpanel.db").stat().st_size / 2**20
        print(f"{hosts:,} virtual hosts, {revisions:,} revisions, a database of {size:.0f} MiB")
        say("a save alone", await timed("saves alone", saves(panel, "alone", 30)))
        out = io.BytesIO()
        await timed("backup, encrypted, alone", panel.backups.write(out, PASSPHRASE))
        backup = asyncio.create_task(
            timed("backup, encrypted, beside saves", panel.backups.write(io.BytesIO(), PASSPHRASE))
        )
        say("a save beside a backup", await saves(panel, "beside", 10_000, backup))
        await backup
        print(f"{'the backup':<52} {len(out.getvalue()) / 2**20:6.1f} MiB")
        candidate = await timed("check of a backup to its last byte", other.backups.take(out, PASSPHRASE))
        await timed("restore with all history on a new machine", restores.restore(other.changes, ADA, candidate))
        few = panel.settings.model_copy(update={"keep_revisions": 20})
        panel.retention.settings = few
        retention = asyncio.create_task(timed("retention down to 20 revisions, beside saves", panel.retention.tidy()))
        say("a save beside retention", await saves(panel, "late", 40))
        await retention
        await panel.close()
        await other.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--revisions", type=int, default=300)
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.hosts, arguments.revisions))


if __name__ == "__main__":
    main()
