"""A disk that fails while a certificate is ordered: `make faults-orders`.

    python -m tests.crash.order_faults [--sample 20] [--haproxy 2.8] [--seed N] [--fault full] [--kind renew] [--point 'fsync current #1']

At each step of an order that touches a file (an account and its key noted, an answer of the authority stored, a certificate delivered
by a save), the disk fails as in `tests.crash.faults`; `full` and `readonly` for as long as the panel has tried so many more calls. The
panel lives on. The order must end by itself, in use or as a failed one whose page says why in clear words; database, files and what
handshakes get must agree; no key is left with the order and no record at the name server; the authority took no second order but where
its answer to the first could not be stored, however often the panel tried; and the next order, with the same panel, must work.

At the end a fault is planted: the panel asks for an order without seeing first that it can store its answer. Unless that is seen,
nobody counts.
"""

import random
from collections.abc import Iterator

import pytest

from guardpanel.models.certificates.acme import AcmeOrder
from guardpanel.services.issuing.steps import Steps
from tests.crash.faults import FAULTS, Harmed, can
from tests.crash.oracle import PATIENCE_SECONDS
from tests.crash.ordering import KINDS
from tests.crash.orders import Begun, Orders, orders
from tests.crash.passes import Axis, Diverged, Frame, Job
from tests.crash.syscalls import Call, Verdict

LASTS = 60
"Calls that fail after the first one: more than a worker makes that begins again ten times."


def do(installation: Orders, job: Job) -> None:
    what = f"{job.by} at {job.point}, {job.kind}"
    harm = Harmed(job.by, job.point, LASTS)
    begun = installation.begin_order(job.kind)

    def decide(call: Call) -> Verdict:
        call.child.calls[call.label] += 1
        return harm(call, call.child.calls[call.label])

    if not installation.end_order(decide):
        raise Diverged(f"{what}: the panel died: {installation.ground.words()}")
    installation.result.hits += harm.hit
    judge(installation, begun, what)


def learned(installation: Orders, seed: int, faults: list[str], kinds: list[str]) -> list[Job]:
    """Every step of an order that touches a file, with every fault that it can meet."""
    points = {kind: about_files(installation, kind) for kind in kinds}
    jobs = {
        (fault, point): kind
        for kind, some in points.items()
        for point in some
        for fault in faults
        if can(fault, point.split(" ")[0])
    }
    chance = random.Random(seed)
    return [
        Job(fault, chance.choice([kind for kind in kinds if point in points[kind]]), point)
        for fault, point in sorted(jobs)
    ]


def about_files(installation: Orders, kind: str) -> set[str]:
    """The points of an order that nothing happens to."""
    points = set[str]()
    begun = installation.begin_order(kind)

    def note(call: Call) -> Verdict:
        call.child.calls[call.label] += 1
        if call.is_about_files:
            points.add(f"{call.label} #{call.child.calls[call.label]}")
        return None

    assert installation.end_order(note), installation.ground.words()
    judge(installation, begun, f"{kind} without a fault")
    return points


def judge(installation: Orders, begun: Begun, what: str) -> None:
    findings = installation.ground.look(PATIENCE_SECONDS, installation.panel(what))
    for stumble in installation.stumbles():
        if not stumble["problem"]:
            installation.result.broken(f"{what}: the worker failed by {stumble['message']}")
    authority = installation.about_authority(begun, range(3), range(2))
    wrong = [*findings.wrong, *about_order(installation, begun, what), *authority]
    if wrong:
        raise Diverged(f"{what}: {'; '.join(wrong)}")


def about_order(installation: Orders, begun: Begun, what: str) -> Iterator[str]:
    rows = installation.begun_since(begun)
    for row in rows:
        if not installation.is_put_away(row):
            yield f"order {row['id']} is {row['phase']}, issued {row['is_issued']}, ended {row['ended_at']}"
        for step in installation.bad_steps(row):
            installation.result.told(step, what)
    is_new = installation.content(begun.name)[0] not in {"", begun.serial}
    installation.result.ends["in use" if is_new else "failed" if rows else "not begun"] += 1
    if is_new is not any(row["is_issued"] for row in rows):
        yield f"{'another' if is_new else 'no other'} certificate is in use than before, by {len(rows)} orders"
    if not rows:
        yield "no order is in the database"


def sees_a_planted_fault(installation: Orders) -> None:
    """On a disk that is full from the answer to an order on, another one is asked for with each try. Raises Diverged unless that is
    seen."""
    installation.end()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Steps, "_must_be_stored", _not_looked_at)
        begun = installation.begin_order("renew")
    harm = Harmed("full", "", LASTS)

    def decide(call: Call) -> Verdict:
        harm.hit = harm.hit or installation.count()[0] > begun.made
        return harm(call, 0)

    assert installation.end_order(decide), installation.ground.words()
    try:
        judge(installation, begun, "planted")
    except Diverged as diverged:
        print(f"seen: {diverged}", flush=True)
    else:
        raise Diverged("a planted fault is not seen")


async def _not_looked_at(_steps: Steps, _row: AcmeOrder) -> None: ...


def main() -> None:
    Frame(__doc__, Axis("fault", FAULTS), tuple(KINDS), orders, learned, do, last=sees_a_planted_fault).run()


if __name__ == "__main__":
    main()
