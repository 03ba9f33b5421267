"""`kill -9` of the panel at every step of a save: `make crash`.

    python -m tests.crash.sweep [--passes 20] [--waits 2] [--sample 40] [--haproxy 2.8] [--seed N] [--phase save]
                                [--kind route] [--point 'rename .current-N → current #1'] [--mutation no_settle]

A pass: a new panel starts on what the last kill left; everything must agree, a save that was acknowledged must be there
whole, one that was not wholly there or wholly not. Then its next save must work; then comes the save that is killed at
the pass's point. HAProxy, the agent and three visitors run on all the time. Phases: `save`; `roll_back` (the proof fails,
the kill comes while the panel puts everything back); `start` (a kill in the middle of a save, and another one while the
next panel settles it); `tidy` (after the acknowledgement, while old applications are dropped).
"""

import argparse
import contextlib
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

from tests.crash.deeds import CHEAP, KINDS, choose
from tests.crash.ground import ENDED, FAILING, REFUSED, RESTED, SAVED, SAVING, STARTING, UP, Ground, ground, read_beside
from tests.crash.mutations import MUTATIONS, healthy
from tests.crash.oracle import PATIENCE_SECONDS, Findings, world_in
from tests.crash.passes import Diverged
from tests.crash.syscalls import Call, Child, Kill, Verdict
from tests.crash.world import Deed, World
from tests.haproxies import VERSIONS, haproxy_binary

WAITING = ("epoll_", "write anon_inode", "clone3", "fcntl", "connect proxy", "write proxy", "connect run/haproxy-probe",
           "write run/haproxy-probe", "openat /dev/null")  # fmt: skip
"Points that change nothing for anybody else: turns of the event loop, threads, read locks, probes."

CRASHES = (
    "write run/agent-control.sock #1",
    "rename .current-N → current #1",
    "write run/haproxy-master.sock #3",
    "epoll_pwait #9",
)
"Where the first of two kills of the phase `start` comes."
CRASHES_OF_BANS = (
    "fdatasync guardpanel.db-wal #1",
    "rename .bans.map-N-N → bans.map #1",
    "write run/haproxy-master.sock #2",
    "epoll_pwait #9",
)
"The same for a ban, which is no save."
CRASHES_OF_FEEDS = (
    "fdatasync guardpanel.db-wal #1",
    "rename feeds/.N.map-N-N → feeds/N.map #1",
    "write run/haproxy-master.sock #2",
    "epoll_pwait #9",
)
"And for a download."
CRASHES_OF = {"ban": CRASHES_OF_BANS, "feed": CRASHES_OF_FEEDS}


@dataclass
class Result:
    points: int = 0
    passes: int = 0
    kills: int = 0
    missed: int = 0
    "Passes whose save was over before its point came."
    lost: int = 0
    requests: int = 0
    failed: int = 0
    divergences: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    "What became of the killed saves: wholly there, or wholly not."

    def __str__(self) -> str:
        ends = ", ".join(f"{count} {what}" for what, count in sorted(self.outcomes.items()))
        return (
            f"{self.points} points, {self.passes} passes, {self.kills} kills ({ends}; {self.missed} saves were over before "
            f"their point): {len(self.divergences)} divergences, {self.failed} of {self.requests} requests failed"
        )


@dataclass(frozen=True)
class Expected:
    """What the next panel must come to: the world before the save or after it, where `sure` only that one."""

    before: World
    after: World
    sure: World | None
    what: str


class Sweep:
    """One installation that goes through many crashes."""

    def __init__(self, made: Ground, seed: int, mutation: str = "") -> None:
        self.ground = made
        self.chance = random.Random(seed)
        self.mutation = MUTATIONS[mutation] if mutation else healthy
        self.result = Result()
        self.expected: Expected | None = None

    def order(self, child: Child, world: World, kind: str, **others: object) -> Deed:
        """Have the panel do a deed; the same as we choose here, since both know world and seed."""
        seed = self.chance.randrange(2**32)
        child.shared.order(kind=kind, seed=seed, **others)
        return choose(kind, world, seed, self.ground.origin)

    def run(self, phase: str, kind: str, point: str | None) -> list[str]:
        """A pass: recover, save, and be killed at the point. The points that the last save came by."""
        child = self.ground.panel(self.mutation)
        try:
            world = self.recovered(child).world
            world = self.saved(child, world)
            rests = 2.6 if phase == "tidy" else 0.0
            deed = self.order(child, world, kind, fails=phase == "roll_back", rests=rests)
            assert child.run(f"{SAVING} 1"), self.ground.words()
            return self.killed(child, world, deed, phase, point)
        finally:
            child.kill()

    def recovered(self, child: Child) -> Findings:
        """It is up, and everybody agrees with what is expected."""
        what = self.expected.what if self.expected else "at first"
        if not child.run(UP):
            raise Diverged(f"{what}: the next panel did not start: {self.ground.words()}")
        if failed := (child.shared.about(UP) or {})["failed"]:
            raise Diverged(f"{what}: the next panel's start says: {failed}")
        findings = self.agreed(what)
        if self.expected is not None:
            self.compare(findings.world, self.expected)
        return findings

    def agreed(self, what: str) -> Findings:
        findings = self.ground.look()
        if findings.wrong:
            raise Diverged(f"{what}: {'; '.join(findings.wrong)}")
        return findings

    def compare(self, world: World, expected: Expected) -> None:
        before, after, sure = expected.before, expected.after, expected.sure
        if sure is not None:
            if not world.same_as(sure):
                self.result.lost += 1
                raise Diverged(f"{expected.what}: what was answered is not so: {world.unlike(sure)}")
        elif world.same_as(after):
            self.result.outcomes["wholly there"] += 1
        elif world.same_as(before):
            self.result.outcomes["wholly not"] += 1
        else:
            raise Diverged(f"{expected.what}: half a save: {world.unlike(before)} and {world.unlike(after)}")

    def saved(self, child: Child, world: World) -> World:
        """The next save works."""
        deed = self.order(child, world, self.chance.choice(CHEAP))
        if not child.run(f"{ENDED} 0") or f"{SAVED} 0" not in child.shared.words():
            raise Diverged(f"the save after a crash ({deed.words}) did not work: {child.shared.heard()[-2:]}")
        now = read_beside(child, partial(world_in, self.ground.folder))
        self.compare(now, Expected(deed.after, deed.after, deed.after, deed.words))
        return now

    def killed(self, child: Child, before: World, deed: Deed, phase: str, point: str | None) -> list[str]:
        what = f"{phase} / {deed.words}, killed at {point}"
        came: list[str] = []
        if phase in BEGINS:
            child.run(BEGINS[phase])
        crashes = CRASHES_OF.get(deed.kind, CRASHES)
        last = f"{RESTED} 1" if phase == "tidy" else f"{ENDED} 1"
        child.run(last, until(point if phase != "start" else self.chance.choice(crashes), came))
        answered = child.shared.words()
        was_killed = not child.is_alive
        self.result.kills += was_killed
        self.result.missed += not was_killed
        child.kill()
        sure = deed.after if f"{SAVED} 1" in answered else before if f"{REFUSED} 1" in answered else None
        self.expected = Expected(before, deed.after, sure, what)
        if phase == "start":
            came = self.killed_again(point)
        return came

    def rest(self) -> None:
        """One more panel, which lives: everything comes to rest, with nothing left behind."""
        child = self.ground.panel(self.mutation)
        try:
            findings = self.recovered(child)
            self.order(child, findings.world, "policy")
            assert child.run(f"{ENDED} 0"), self.ground.words()
            findings = self.ground.look(PATIENCE_SECONDS, child, at_rest=True)
            if findings.wrong:
                raise Diverged(f"at rest: {'; '.join(findings.wrong)}")
        finally:
            child.kill()

    def killed_again(self, point: str | None) -> list[str]:
        """The panel that settles a crash is killed too."""
        came: list[str] = []
        again = self.ground.panel(self.mutation)
        try:
            assert again.run(STARTING), self.ground.words()
            again.run(UP, until(point, came))
            self.result.kills += not again.is_alive
        finally:
            again.kill()
        return came


def until(point: str | None, came: list[str]) -> Callable[[Call], Verdict]:
    """Kill at the point; None: only see which points there are."""

    def decide(call: Call) -> Verdict:
        call.child.calls[call.label] += 1
        here = f"{call.label} #{call.child.calls[call.label]}"
        came.append(here)
        return Kill() if here == point else None

    return decide


PHASES = ("save", "roll_back", "start", "tidy")
DEEP = ("route", "policy", "swap", "ban", "entries", "feed")
"Kinds of save for the other phases."

BEGINS = {"roll_back": FAILING, "tidy": f"{ENDED} 1"}
"The word after which the points of a phase are counted."


@dataclass(frozen=True)
class Job:
    phase: str
    kind: str
    point: str


def learned(sweep: Sweep, phases: Iterable[str], kinds: Iterable[str]) -> list[Job]:
    """Every point of every phase, with a kind of save that comes by it."""
    points: dict[tuple[str, str], list[str]] = {}
    for phase in phases:
        for kind in kinds if phase in {"save", "roll_back"} else [kind for kind in DEEP if kind in kinds]:
            if phase == "roll_back" and kind in {"notes", "policy_create", *CRASHES_OF}:
                continue  # nothing is deployed, so nothing is rolled back
            for point in sweep.run(phase, kind, None):
                points.setdefault((phase, point), []).append(kind)
    return [Job(phase, sweep.chance.choice(by), point) for (phase, point), by in points.items()]


def is_waiting(point: str) -> bool:
    return point.startswith(WAITING)


def schedule(jobs: list[Job], passes: int, waits: int, chance: random.Random) -> list[Job]:
    """Points of `save` that act `passes` times, those that only wait `waits` times; other phases a tenth of it."""
    plan: list[Job] = []
    for job in jobs:
        times = waits if is_waiting(job.point) else passes
        plan += [job] * (times if job.phase == "save" else max(1, times // 10))
    chance.shuffle(plan)
    return plan


@contextlib.contextmanager
def sweeping(haproxy: str, seed: int, mutation: str = "") -> Iterator[Sweep]:
    with ground(haproxy) as made:
        sweep = Sweep(made, seed, mutation)
        try:
            yield sweep
        finally:
            sweep.result.requests += made.count.requests
            sweep.result.failed += made.count.failed
            if made.count.failed:
                print(made.count.failures(), flush=True)


def run(haproxy: str, seed: int, plan: Callable[[Sweep], list[Job]], mutation: str = "", most: int = 5) -> Result:
    """All jobs; after a divergence on a new installation. Stops after `most` of them."""
    total = Result()
    jobs: list[Job] | None = None
    while jobs is None or jobs:
        with sweeping(haproxy, seed + total.passes, mutation) as sweep:
            if jobs is None:
                jobs = plan(sweep)
                total.points = len(set(jobs))
                print(f"{total.points} points, {len(jobs)} passes", flush=True)
            _some(sweep, jobs, total)
        _add(total, sweep.result)
        if len(total.divergences) >= most:
            break
    return total


def _some(sweep: Sweep, jobs: list[Job], total: Result) -> None:
    """Until the jobs are done or something diverges."""
    began = time.monotonic()
    last = None
    try:
        while jobs:
            last = jobs.pop()
            sweep.run(last.phase, last.kind, last.point)
            sweep.result.passes += 1
            if sweep.result.passes % 100 == 0:
                print(f"  {sweep.result.passes}, {len(jobs)} left, {time.monotonic() - began:.0f} s", flush=True)
        sweep.rest()
    except Diverged as diverged:
        print(f"DIVERGED {diverged}", flush=True)
        total.divergences.append(str(diverged))


def _add(total: Result, part: Result) -> None:
    for name in ("passes", "kills", "missed", "lost", "requests", "failed"):
        setattr(total, name, getattr(total, name) + getattr(part, name))
    total.outcomes += part.outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passes", type=int, default=20, help="per point that acts, over all HAProxy versions")
    parser.add_argument("--waits", type=int, default=2, help="per point that only waits")
    parser.add_argument("--sample", type=int, help="that many passes by chance, instead of all")
    parser.add_argument("--haproxy", choices=VERSIONS, action="append")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--phase", choices=PHASES, action="append")
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--point", action="append", help="these alone")
    parser.add_argument("--mutation", default="", choices=["", *MUTATIONS])
    arguments = parser.parse_args()
    versions = arguments.haproxy or list(VERSIONS)
    bad = 0
    for version in versions:
        passes, waits = (max(1, each // len(versions)) for each in (arguments.passes, arguments.waits))

        def plan(sweep: Sweep, passes: int = passes, waits: int = waits) -> list[Job]:
            if arguments.point:
                return [
                    Job((arguments.phase or PHASES)[0], (arguments.kind or KINDS)[0], point)
                    for point in arguments.point
                ] * passes
            jobs = learned(sweep, arguments.phase or PHASES, arguments.kind or KINDS)
            return schedule(jobs, passes, waits, sweep.chance)[: arguments.sample]

        began = time.monotonic()
        print(f"HAProxy {version}, seed {arguments.seed}", flush=True)
        result = run(
            haproxy_binary(version), arguments.seed, plan, arguments.mutation, most=1 if arguments.mutation else 5
        )
        print(f"HAProxy {version}, seed {arguments.seed}: {result} ({time.monotonic() - began:.0f} s)", flush=True)
        bad += len(result.divergences) + result.failed
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
