"""`kill -9` of the panel at every step of an order: `make crash-orders`.

    python -m tests.crash.order_kills [--sample 40] [--haproxy 2.8] [--seed N] [--kind renew] [--killed again]
                                      [--point 'fdatasync guardpanel.db-wal #3']

A certificate is issued for the first time, renewed by HTTP-01, or renewed by DNS-01, from registering the account to its use by
handshakes; the panel is killed at a step of it, `once`; or `again`, so that the panel that goes on with the order is killed, too,
wherever it happens to be. The next one must end the order: with the key that it began with, one certificate of the authority's, and no
second order there but where the answer to the first was lost. Database, files and what handshakes get must agree, and no record is left
at the name server. HAProxy, the agent, the authority (pebble), the name server (Knot) and the visitors run on all the time.

At the end a fault is planted: the panel forgets what the authority answered. Unless that is seen, nothing was looked at.
"""

import contextlib
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from tests.crash.ground import UP
from tests.crash.ordering import KINDS
from tests.crash.orders import REPLACED, Begun, Orders, orders
from tests.crash.passes import Axis, Diverged, Frame, Job
from tests.crash.sweep import until
from tests.crash.syscalls import Call, Kill, Verdict

KILLED = ("once", "again")

KILLED_ONCE = 2
"Of so many points of `once`, one is also a point of `again`."

FORGET = "UPDATE acmeorder SET phase = 'new', url = '' WHERE ended_at IS NULL"
"The planted fault."


@dataclass(frozen=True)
class Interrupted:
    """What a kill left of an order. `key`: of the certificate to be, if that is still to come."""

    phase: str
    key: bytes | None

    @property
    def may_be_lost(self) -> bool:
        """Whether the authority may have taken an order without its answer having been stored: nothing tells which one it was."""
        return self.phase in {"new", "not begun"}


def do(installation: Orders, job: Job) -> None:
    run(installation, job.kind, job.point, again=job.by == "again")


def run(installation: Orders, kind: str, point: str | None, *, again: bool = False) -> list[str]:
    """An order that is killed at the point, or only watched. The points that it came by."""
    points: list[str] = []
    what = f"{kind}, killed at {point}"
    begun = installation.begin_order(kind)
    is_over = installation.end_order(until(point, points))
    left = [interrupted(installation, begun)]
    if not is_over:
        installation.result.hits += 1
        installation.result.ends[left[0].phase] += 1
        if again:
            killed_somewhere(installation)
            left.append(interrupted(installation, begun))
        installation.panel(what)
    judge(installation, begun, left, what)
    return points


def learned(installation: Orders, seed: int, killed: list[str], kinds: list[str]) -> list[Job]:
    """The points of an order: steps that act, and of turns of the event loop, which grow with the machine's load, a few."""
    chance, jobs = random.Random(seed), list[Job]()
    for kind in kinds:
        points = run(installation, kind, None)
        turns = [point for point in points if point.startswith("epoll_")]
        points = [point for point in points if not point.startswith("epoll_")] + turns[::20]
        jobs += [Job("once", kind, point) for point in points if "once" in killed]
        jobs += [
            Job("again", kind, point) for point in points if "again" in killed and chance.randrange(KILLED_ONCE) == 0
        ]
    return jobs


def killed_somewhere(installation: Orders) -> None:
    """The panel that goes on is killed, too."""
    left = installation.chance.randrange(20, 400)
    child = installation.fork()

    def decide(_call: Call) -> Verdict:
        nonlocal left
        left -= 1
        return Kill() if left < 0 else None

    try:
        installation.result.hits += not child.run(UP, decide)
    finally:
        child.kill()


def interrupted(installation: Orders, begun: Begun) -> Interrupted:
    rows = installation.begun_since(begun)
    if not rows:
        return Interrupted("not begun", None)
    row = rows[-1]
    return Interrupted(row["phase"], installation.key(row, "acme_order") if row["sealed_key"] else None)


def judge(installation: Orders, begun: Begun, left: list[Interrupted], what: str) -> None:
    lost = sum(each.may_be_lost for each in left)
    authority = installation.about_authority(begun, range(1, 2 + lost), range(1, 2))
    stumbles = [f"the worker failed: {stumble['message']}" for stumble in installation.stumbles()]
    wrong = [*installation.ground.look().wrong, *about_order(installation, begun, left), *authority, *stumbles]
    if wrong:
        raise Diverged(f"{what} ({', '.join(each.phase for each in left)}): {'; '.join(wrong)}")


def about_order(installation: Orders, begun: Begun, left: list[Interrupted]) -> Iterator[str]:
    rows = installation.begun_since(begun)
    serial, key = installation.content(begun.name)
    if len(rows) != 1:
        yield f"{len(rows)} orders in the database"
    for row in rows:
        if not row["is_issued"] or not installation.is_put_away(row):
            yield f"order {row['id']} is {row['phase']}, issued {row['is_issued']}, ended {row['ended_at']}"
        for step in installation.bad_steps(row):
            if not (step.startswith(REPLACED) and any(each.may_be_lost for each in left)):
                yield f"a step failed: {step}"
    if serial in {"", begun.serial}:
        yield "no other certificate is in use than before"
    if any(each.key not in {None, key} for each in left):
        yield "the key of the order is not the certificate's"


def sees_a_planted_fault(installation: Orders) -> None:
    """An order whose answers are forgotten must not pass. Raises Diverged if it does."""
    begun = installation.begin_order("renew")
    is_over = installation.end_order(
        lambda _: Kill() if interrupted(installation, begun).phase == "finalized" else None
    )
    assert not is_over, "the order was over before the fault"
    left = interrupted(installation, begun)
    with contextlib.closing(sqlite3.connect(installation.ground.folder / "guardpanel.db")) as database, database:
        database.execute(FORGET)
    installation.panel("with the planted fault")
    try:
        judge(installation, begun, [left], "planted")
    except Diverged as diverged:
        print(f"seen: {diverged}", flush=True)
    else:
        raise Diverged("a planted fault is not seen")


def main() -> None:
    Frame(__doc__, Axis("killed", KILLED), tuple(KINDS), orders, learned, do, last=sees_a_planted_fault).run()


if __name__ == "__main__":
    main()
