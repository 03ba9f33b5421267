"""`kill -9` of the panel at every step of an order: `make crash-orders`.

    python -m tests.crash.order_kills [--sample 40] [--haproxy 2.8] [--seed N] [--kind renew] [--point 'fdatasync guardpanel.db-wal #3']

A certificate is issued for the first time, renewed by HTTP-01, or renewed by DNS-01, from registering the account to its use by
handshakes; the panel is killed at a step of it. Every third time the panel that goes on with the order is killed, too, wherever it
happens to be. The next one must end the order: with the key that it began with, one certificate of the authority's, and no second
order there but where the answer to the first was lost. Database, files and what handshakes get must agree, and no record is left at
the name server. HAProxy, the agent, the authority (pebble), the name server (Knot) and the visitors run on all the time.

At the end a fault is planted: the panel forgets what the authority answered. Unless that is seen, nothing was looked at.
"""

import argparse
import asyncio
import contextlib
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from guardpanel.sealing import Seal
from tests.acme.authority import KEY_NAME, SECRET, Knot, Pebble
from tests.crash.ground import ENDED, SAVING, UP, Ground, ground
from tests.crash.oracle import CURRENT, opened
from tests.crash.ordering import KINDS, live
from tests.crash.sweep import until
from tests.crash.syscalls import Call, Child, Kill, Shared, Verdict
from tests.haproxies import VERSIONS, haproxy_binary
from tests.ports import free_port

KILLED_AGAIN = 3
"Of so many panels that go on with an order, one is killed."

FORGET = "UPDATE acmeorder SET phase = 'new', url = '' WHERE ended_at IS NULL"
"The planted fault."


REPLACED = "The certificate was already replaced by another order."
"What the authority says to the second order of a renewal whose first answer was lost."


class Diverged(Exception):
    pass


@dataclass
class Result:
    points: int = 0
    passes: int = 0
    kills: int = 0
    requests: int = 0
    failed: int = 0
    divergences: list[str] = field(default_factory=list)
    phases: Counter[str] = field(default_factory=Counter)
    "How far the orders were that a kill interrupted."

    def __str__(self) -> str:
        phases = ", ".join(f"{count} {phase}" for phase, count in sorted(self.phases.items()))
        return (
            f"{self.points} points, {self.passes} orders, {self.kills} kills (by then: {phases}): "
            f"{len(self.divergences)} divergences, {self.failed} of {self.requests} requests failed"
        )


@dataclass(frozen=True)
class Begun:
    """What was there when an order was asked for. `order`: the number of the last one."""

    name: str
    order: int
    made: int
    issued: int
    serial: str


@dataclass(frozen=True)
class Interrupted:
    """What a kill left of an order. `key`: of the certificate to be, if that is still to come."""

    phase: str
    key: bytes | None

    @property
    def may_be_lost(self) -> bool:
        """Whether the authority may have taken an order without its answer having been stored: nothing tells which one it was."""
        return self.phase in {"new", "not begun"}


class Sweep:
    """One installation with its authority."""

    def __init__(self, made: Ground, pebble: Pebble, knot: Knot, seed: int) -> None:
        self.ground, self.pebble, self.knot = made, pebble, knot
        self.chance = random.Random(seed)
        self.seal = Seal.at(made.settings.secret_key)
        self.result = Result()
        self._panel: Child | None = None
        self._orders = 0
        "Of this panel."

    def panel(self, what: str) -> Child:
        """The one that lives, or a new one, which has gone on with what is open."""
        if self._panel is None:
            self._panel, self._orders = self.fork(), 0
            if not self._panel.run(UP):
                raise Diverged(f"{what}: the next panel did not start: {self.ground.words()}")
            if failed := (self._panel.shared.about(UP) or {})["failed"]:
                raise Diverged(f"{what}: the next panel's start says: {failed}")
        return self._panel

    def fork(self) -> Child:
        settings, origin, url = self.ground.settings, self.ground.origin, self.pebble.url

        def work(shared: Shared) -> None:
            tempfile.tempdir = str(self.ground.folder / "tmp")
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(live(shared, settings, origin, url))

        return Child(work, self.ground.folder, self.ground.output)

    def end(self) -> None:
        if self._panel is not None:
            self._panel.kill()
            self._panel = None

    def run(self, kind: str, point: str | None) -> list[str]:
        """An order that is killed at the point, or only watched. The points that it came by."""
        points: list[str] = []
        what = f"{kind}, killed at {point}"
        begun = self.begin_order(kind)
        is_over = self.end_order(until(point, points))
        left = [self.interrupted(begun)]
        if not is_over:
            self.result.kills += 1
            self.result.phases[left[0].phase] += 1
            if self.chance.randrange(KILLED_AGAIN) == 0:
                self.killed_somewhere()
                left.append(self.interrupted(begun))
            self.panel(what)
        self.judge(begun, left, what)
        return points

    def learned(self, kind: str) -> list[str]:
        """The points of an order: steps that act, and of turns of the event loop, which grow with the machine's load, a few."""
        points = self.run(kind, None)
        turns = [point for point in points if point.startswith("epoll_")]
        return [point for point in points if not point.startswith("epoll_")] + turns[::20]

    def begin_order(self, kind: str) -> Begun:
        child = self.panel("before an order")
        name = KINDS[kind]
        with opened(self.ground.folder) as database:
            last = database.execute("SELECT seq FROM sqlite_sequence WHERE name = 'acmeorder'").fetchone()
        made, issued = self.count()
        begun = Begun(name, last[0] if last else 0, made, issued, self.content(name)[0])
        child.shared.order(kind=kind)
        assert child.run(f"{SAVING} {self._orders}"), self.ground.words()
        return begun

    def end_order(self, decide: Callable[[Call], Verdict]) -> bool:
        """Whether the panel lived until its end."""
        is_over = self.panel("in an order").run(f"{ENDED} {self._orders}", decide)
        self._orders += 1
        if not is_over:
            self.end()
        return is_over

    def begin(self) -> None:
        """The virtual hosts with their first certificates."""
        for kind in ("begin", "issue"):
            self.panel("at first").shared.order(kind=kind)
            assert self.end_order(lambda _: None), self.ground.words()

    def killed_somewhere(self) -> None:
        """The panel that goes on is killed, too."""
        left = self.chance.randrange(20, 400)
        child = self.fork()

        def decide(_call: Call) -> Verdict:
            nonlocal left
            left -= 1
            return Kill() if left < 0 else None

        try:
            self.result.kills += not child.run(UP, decide)
        finally:
            child.kill()

    # What must be

    def count(self) -> tuple[int, int]:
        """Orders that the authority took, and certificates that it issued."""
        log = (self.pebble.folder / "log").read_text()
        return log.count("Added order"), log.count("Issued certificate serial")

    def content(self, name: str) -> tuple[str, bytes]:
        """Serial and key of what the database says is in use."""
        with opened(self.ground.folder) as database:
            row = database.execute(f"SELECT * FROM ({CURRENT}) WHERE name = ?", (name,)).fetchone()
        return (row["serial"], self.key(row, "certificate_content")) if row else ("", b"")

    def key(self, row: sqlite3.Row, kind: str) -> bytes:
        return self.seal.open(row["sealed_key"], f"{kind}:{row['id']}")

    def begun_since(self, begun: Begun) -> list[sqlite3.Row]:
        with opened(self.ground.folder) as database:
            return database.execute("SELECT * FROM acmeorder WHERE id > ? ORDER BY id", (begun.order,)).fetchall()

    def interrupted(self, begun: Begun) -> Interrupted:
        rows = self.begun_since(begun)
        if not rows:
            return Interrupted("not begun", None)
        row = rows[-1]
        return Interrupted(row["phase"], self.key(row, "acme_order") if row["sealed_key"] else None)

    def judge(self, begun: Begun, left: list[Interrupted], what: str) -> None:
        wrong = [*self.ground.look().wrong, *self.about_order(begun, left), *self.about_authority(begun, left)]
        if wrong:
            raise Diverged(f"{what} ({', '.join(each.phase for each in left)}): {'; '.join(wrong)}")

    def about_order(self, begun: Begun, left: list[Interrupted]) -> Iterator[str]:
        rows = self.begun_since(begun)
        serial, key = self.content(begun.name)
        if len(rows) != 1:
            yield f"{len(rows)} orders in the database"
        for row in rows:
            if not row["is_issued"] or not row["ended_at"] or row["sealed_key"] or row["phase"] != "clean":
                yield f"order {row['id']} is {row['phase']}, issued {row['is_issued']}, ended {row['ended_at']}"
            with opened(self.ground.folder) as database:
                bad = database.execute(
                    "SELECT words, detail FROM acmestep WHERE order_id = ? AND is_bad", (row["id"],)
                ).fetchall()
            for step in bad:
                if not (step["words"] == REPLACED and any(each.may_be_lost for each in left)):
                    yield f"a step failed: {step['words']} {step['detail']}"
        if serial in {"", begun.serial}:
            yield "no other certificate is in use than before"
        if any(each.key not in {None, key} for each in left):
            yield "the key of the order is not the certificate's"

    def about_authority(self, begun: Begun, left: list[Interrupted]) -> Iterator[str]:
        made, issued = self.count()
        lost = sum(each.may_be_lost for each in left)
        if not 1 <= made - begun.made <= 1 + lost:
            yield f"the authority took {made - begun.made} orders"
        if issued - begun.issued != 1:
            yield f"the authority issued {issued - begun.issued} certificates"
        if texts := self.knot.texts(f"_acme-challenge.{begun.name}"):
            yield f"records are left: {texts}"

    def sees_a_planted_fault(self) -> None:
        """An order whose answers are forgotten must not pass. Raises Diverged if it does."""
        begun = self.begin_order("renew")
        is_over = self.end_order(lambda _: Kill() if self.interrupted(begun).phase == "finalized" else None)
        assert not is_over, "the order was over before the fault"
        left = self.interrupted(begun)
        with contextlib.closing(sqlite3.connect(self.ground.folder / "guardpanel.db")) as database, database:
            database.execute(FORGET)
        self.panel("with the planted fault")
        try:
            self.judge(begun, [left], "planted")
        except Diverged as diverged:
            print(f"seen: {diverged}", flush=True)
        else:
            raise Diverged("a planted fault is not seen")


@contextlib.contextmanager
def sweeping(haproxy: str, seed: int) -> Iterator[Sweep]:
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="gpk") as folder, Knot() as knot, Pebble(port, knot.port) as pebble:
        key_file = Path(folder) / "tsig.key"
        key_file.write_text(f'key "{KEY_NAME}" {{ algorithm hmac-sha256; secret "{SECRET}"; }};')
        settings = {"dns_server": f"127.0.0.1:{knot.port}", "dns_key_file": str(key_file)}
        settings |= {"http_bind": f"127.0.0.1:{port}", "acme_ca_file": str(pebble.ca_file)}
        with ground(haproxy, None, **settings) as made:
            sweep = Sweep(made, pebble, knot, seed)
            try:
                sweep.begin()
                yield sweep
            finally:
                sweep.end()
                sweep.result.requests, sweep.result.failed = made.count.requests, made.count.failed
                if made.count.failed:
                    print(made.count.failures(), flush=True)


def swept(sweep: Sweep, kinds: list[str], points: list[str], sample: int | None) -> None:
    """All points, or so many by chance. Ends at the first divergence."""
    try:
        jobs = [(kind, point) for kind in kinds for point in points or sweep.learned(kind)]
        sweep.chance.shuffle(jobs)
        sweep.result.points = len(jobs)
        print(f"{len(jobs)} points", flush=True)
        for number, (kind, point) in enumerate(jobs[:sample], 1):
            sweep.run(kind, point)
            sweep.result.passes = number
            if number % 100 == 0:
                print(f"  {number}", flush=True)
        if not points:
            sweep.sees_a_planted_fault()
    except Diverged as diverged:
        print(f"DIVERGED {diverged}", flush=True)
        sweep.result.divergences.append(str(diverged))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, help="that many orders by chance, instead of one for each point")
    parser.add_argument("--haproxy", choices=VERSIONS, default="2.8")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--point", action="append", help="these alone")
    arguments = parser.parse_args()
    began = time.monotonic()
    with sweeping(haproxy_binary(arguments.haproxy), arguments.seed) as sweep:
        swept(sweep, arguments.kind or list(KINDS), arguments.point or [], arguments.sample)
    name = f"HAProxy {arguments.haproxy}, seed {arguments.seed}"
    print(f"{name}: {sweep.result} ({time.monotonic() - began:.0f} s)", flush=True)
    sys.exit(1 if sweep.result.divergences or sweep.result.failed else 0)


if __name__ == "__main__":
    main()
