"""Where a sweep happens: one data directory, engines and visitors that outlive every panel, and panels that die.

A panel is a forked child of the harness (so a pass costs about one save): it opens the database, brings everything up as
`guardpanel up` does at start, and then saves what it is told.
"""

import asyncio
import contextlib
import itertools
import shutil
import sqlite3
import tempfile
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import uvloop

from guardpanel.errors import DeploymentFailed, Problem
from guardpanel.panel import Panel
from guardpanel.services.truth import startup
from guardpanel.settings import Settings
from tests.crash.deeds import ALWAYS_THERE, choose
from tests.crash.oracle import Findings, Oracle, world_in
from tests.crash.outside import Count, keep_engines, program, visit
from tests.crash.syscalls import Child, Shared
from tests.ports import free_port

T = TypeVar("T")

STARTING, UP, FAILING = "starting", "up", "failing"
"What a panel says: before it settles what was left; with `failed`, words of what is not live; a proof was made to fail."
SAVING, SAVED, REFUSED, BROKEN, ENDED, RESTED = "saving", "saved", "refused", "broken", "ended", "rested"
"What it says of a save, each with its number; BROKEN is an exception that is no Problem."

MEND_SECONDS = 2.0
"Between two looks at the maps of feeds: sooner than a panel's, since a sweep waits for them."

Mutation = Callable[[Panel, Shared], None]
"A fault that is planted before a panel starts."


class Ground:
    def __init__(self, folder: Path, haproxy: str, origin: int, **others: str) -> None:
        self.origin = origin
        binds = {"http_bind": f"127.0.0.1:{free_port()}", "https_bind": f"127.0.0.1:{free_port()}"}
        places = {"data_dir": folder, "feed_files": str(folder), "haproxy_bin": haproxy}
        self.settings = Settings(**{**places, **binds, **others})  # type: ignore[arg-type]
        self.oracle = Oracle(self.settings)
        self.count = Count(folder / "requests")
        self.output = folder / "panel.out"

    @property
    def folder(self) -> Path:
        return self.settings.data_dir

    def panel(self, mutation: Mutation = lambda _panel, _shared: None) -> Child:
        """A new panel that has not begun yet. Give it orders: `kind` and `seed` of a deed, `fails`, `rests`."""
        (self.folder / "tmp").mkdir(exist_ok=True)

        def work(shared: Shared) -> None:
            tempfile.tempdir = str(self.folder / "tmp")
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_live(shared, self.settings, self.origin, mutation))

        return Child(work, self.folder, self.output)

    def look(self, seconds: float = 0.0, child: Child | None = None, *, at_rest: bool = False) -> Findings:
        """What the oracle finds; asked again for that long while something is wrong, and the panel lives on meanwhile."""
        ends = time.monotonic() + seconds
        ask = partial(self.oracle.look, at_rest=at_rest)
        while (findings := read_beside(child, ask)).wrong and time.monotonic() < ends:
            if child is not None:
                child.live(0.3)
            else:
                time.sleep(0.1)
        return findings

    def words(self) -> str:
        return self.output.read_text()[-4000:] if self.output.exists() else ""


def read_beside(child: Child | None, read: Callable[[], T]) -> T:
    """What is read of a database that a child has open, too: one that was stopped at a lock of SQLite's which keeps readers out, as
    while its log starts anew, goes on for a moment."""
    for _ in range(3):
        try:
            return read()
        except sqlite3.OperationalError as error:
            if child is None or error.sqlite_errorcode != sqlite3.SQLITE_PROTOCOL:
                raise
            child.live(0.3)
    return read()


@contextlib.contextmanager
def ground(haproxy: str, data: Path | None = None, **settings: str) -> Iterator[Ground]:
    """With the first revisions live, and visitors asking."""
    folder = data or Path(tempfile.mkdtemp(prefix="gpc"))
    made = Ground(folder, haproxy, free_port(), **settings)
    bind = made.settings.http_bind
    try:
        made.count.stop_counting()
        port = int(bind.rpartition(":")[2])
        visitors = partial(
            visit, port, made.origin, folder / "requests"
        )  # their server first: HAProxy checks its health
        with (
            program(visitors, folder / "visitors.out"),
            program(partial(keep_engines, folder, bind, haproxy), folder / "engines.out"),
        ):
            _first(made)
            _wait(lambda: not made.oracle.old_workers(), "the end of workers that know no virtual host")
            made.count.count_again()
            _wait(lambda: made.count.requests > 0, "the first request")
            yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _first(made: Ground) -> None:
    child = made.panel()
    try:
        assert child.run(UP), made.words()
        for at, kind in enumerate(ALWAYS_THERE):
            child.shared.order(kind=kind, seed=0)
            assert child.run(f"{ENDED} {at}"), made.words()
            assert f"{SAVED} {at}" in child.shared.words(), child.shared.heard()
    finally:
        child.kill()


async def _live(shared: Shared, settings: Settings, origin: int, mutation: Mutation) -> None:
    """A panel's life, told to the harness word by word."""
    panel = await Panel.open(settings, supervise=False)
    mutation(panel, shared)
    shared.tell(STARTING)
    panel.reconciler.problem = await startup.bring_up(panel.changes)
    await panel.reconciler.tick()
    await panel.bans.look()
    await panel.feeds.mend()
    shared.tell(UP, failed=panel.reconciler.problem)
    watching = panel.reconciler.start()
    panel.bans.follow(panel.background)
    panel.background.keep("feed maps", panel.feeds.mend, MEND_SECONDS)
    for at in itertools.count():
        while (order := shared.ordered()) is None:
            await asyncio.sleep(0.002)
        deed = choose(order["kind"], world_in(settings.data_dir), order["seed"], origin)
        if order.get("fails"):
            _fail_once(panel, shared)
        shared.tell(f"{SAVING} {at}")
        await _do(shared, at, deed.do(panel))
        if order.get("rests"):
            await asyncio.sleep(order["rests"])
            shared.tell(f"{RESTED} {at}")
        assert not watching.done(), "the panel has stopped looking at what runs"


async def _do(shared: Shared, at: int, doing: Awaitable[object]) -> None:
    try:
        await doing
    except Problem as problem:
        shared.tell(f"{REFUSED} {at}", problem=type(problem).__name__, message=problem.message, status=problem.status)
    except Exception as error:  # noqa: BLE001 told to the harness, which calls it a fault
        traceback.print_exc()
        shared.tell(f"{BROKEN} {at}", error=f"{error!r} in {_place(error)}")
    else:
        shared.tell(f"{SAVED} {at}")
    shared.tell(f"{ENDED} {at}")


def _place(error: Exception) -> str:
    """The deepest line of ours."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/guardpanel/" in frame.filename]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno} {frames[-1].name}" if frames else "?"


def _fail_once(panel: Panel, shared: Shared) -> None:
    """The next proof fails, as where a stray HAProxy takes requests; the one after it is a real one."""
    verifier = panel.engines.verifier
    prove = verifier.prove

    async def fail(*_: object, **_more: object) -> None:
        verifier.prove = prove  # type: ignore[method-assign]
        shared.tell(FAILING)
        raise DeploymentFailed("It cannot be proved.", step="verify")

    verifier.prove = fail  # type: ignore[method-assign]


def _wait(true: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.02)
