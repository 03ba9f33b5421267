"""A panel that goes on living while something is done to it in the middle of a save.

What `faults` and `engine_kills` share: the save must end in the operator's sight, live or refused in clear words; then
everything must agree, and the next save must work, in the same panel.
"""

import argparse
import contextlib
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.crash.deeds import CHEAP, KINDS, Deed, World, choose
from tests.crash.ground import BROKEN, ENDED, REFUSED, SAVED, SAVING, UP, Ground, ground
from tests.crash.oracle import PATIENCE_SECONDS, world_in
from tests.crash.syscalls import Call, Child, Verdict
from tests.haproxies import VERSIONS, haproxy_binary

UNCLEAR = re.compile(r"Errno|Error\b|Exception|Traceback|sqlite3|sqlalchemy|aiosqlite|0x[0-9a-f]{6}|\[SQL|^$")
"What an operator cannot do anything with."

LIVE = re.compile(r"Live as revision \d+, but that could not be recorded yet")
"The one problem after which the change is there."

LIFE = 40
"Passes of one panel, before a new one takes over."


class Diverged(Exception):
    pass


@dataclass
class Result:
    points: int = 0
    passes: int = 0
    hits: int = 0
    requests: int = 0
    failed: int = 0
    divergences: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    "Ends that no operator understands: an exception that is no Problem, or a program's words."
    ends: Counter[str] = field(default_factory=Counter)
    "How the saves ended."
    messages: Counter[str] = field(default_factory=Counter)
    "What the operator was told."

    def __str__(self) -> str:
        ends = ", ".join(f"{count} {what}" for what, count in sorted(self.ends.items()))
        return (
            f"{self.points} points, {self.passes} passes, {self.hits} hits (saves ended: {ends}): "
            f"{len(self.divergences)} divergences, {len(self.unclear)} unclear ends, "
            f"{self.failed} of {self.requests} requests failed"
        )

    def add(self, other: "Result") -> None:
        for name in ("passes", "hits", "requests", "failed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.divergences += other.divergences
        self.unclear += other.unclear
        self.ends += other.ends
        self.messages += other.messages


Harm = Callable[[Call, int], Verdict]
"SaveRequest at every call of a save, with how often this label came before: what to do to it, or (None) nothing."


class Living:
    def __init__(self, made: Ground, seed: int) -> None:
        self.ground = made
        self.chance = random.Random(seed)
        "Seconds until everybody must agree again."
        self.result = Result()
        self._child: Child | None = None
        self._saves = 0

    def save(self, kind: str, harm: Harm, what: str) -> list[str]:
        """A save during which `harm` is done. Every point that it came by."""
        came: list[str] = []
        child = self.child()
        before = self.world()
        deed, number = self.order(child, before, kind)
        assert child.run(f"{SAVING} {number}"), self.ground.words()

        def decide(call: Call) -> Verdict:
            child.calls[call.label] += 1
            came.append(f"{call.label} #{child.calls[call.label]}")
            return harm(call, child.calls[call.label])

        if not child.run(f"{ENDED} {number}", decide):
            raise Diverged(f"{what}: the panel died: {self.ground.words()}")
        self.judge(child, number, before, deed, f"{what} ({deed.words})")
        return came

    def judge(self, child: Child, number: int, before: World, deed: Deed, what: str) -> None:
        """The save's end is true and clear, all agree with it, and the next save works."""
        self.agreed(child, self.answered(child, number, before, deed, what), what)
        self.next_save(child, what)

    def answered(self, child: Child, number: int, before: World, deed: Deed, what: str) -> tuple[World, ...]:
        """The worlds that may be after what the operator was told."""
        if (broken := child.shared.about(f"{BROKEN} {number}")) is not None:
            self.result.ends["broken"] += 1
            self.unclear(f"{what}: no Problem but {broken['error']}")
            return before, deed.after
        if (refused := child.shared.about(f"{REFUSED} {number}")) is None:
            self.result.ends["live"] += 1
            return (deed.after,)
        self.result.ends[str(refused["problem"])] += 1
        self.result.messages[_plain(refused)] += 1
        if UNCLEAR.search(str(refused["message"])):
            self.unclear(f"{what}: not an operator's words: {refused['message']}")
        return (deed.after,) if LIVE.match(str(refused["message"])) else (before,)

    def unclear(self, words: str) -> None:
        print(f"UNCLEAR {words}", flush=True)
        self.result.unclear.append(words)

    def agreed(self, child: Child, wanted: tuple[World, ...], what: str) -> None:
        findings = self.ground.look(PATIENCE_SECONDS, child)
        if findings.wrong:
            raise Diverged(f"{what}: {'; '.join(findings.wrong)}; attempts {findings.attempts[-2:]}")
        if not any(findings.world.same_as(world) for world in wanted):
            raise Diverged(f"{what}: what was answered is not so: {findings.world.unlike(wanted[0])}")

    def next_save(self, child: Child, what: str) -> None:
        deed, number = self.order(child, self.world(), self.chance.choice(CHEAP))
        child.run(f"{ENDED} {number}")
        if f"{SAVED} {number}" not in child.shared.words():
            raise Diverged(f"{what}: the next save ({deed.words}) did not work: {child.shared.heard()[-2:]}")

    def order(self, child: Child, world: World, kind: str) -> tuple[Deed, int]:
        seed = self.chance.randrange(2**32)
        number, self._saves = self._saves, self._saves + 1
        child.shared.order(kind=kind, seed=seed)
        return choose(kind, world, seed, self.ground.origin), number

    def world(self) -> World:
        return world_in(self.ground.folder)

    def child(self) -> Child:
        if self._child is None or self._saves >= 2 * LIFE:
            self.end()
            self._child, self._saves = self.ground.panel(), 0
            assert self._child.run(UP), self.ground.words()
            if failed := (self._child.shared.about(UP) or {})["failed"]:
                raise Diverged(f"a new panel does not come up: {failed}")
        return self._child

    def end(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None


def _plain(refused: dict[str, Any]) -> str:
    return re.sub(r"\d+", "N", f"{refused['status']} {refused['problem']}: {refused['message']}")


@contextlib.contextmanager
def living(haproxy: str, seed: int) -> Iterator[Living]:
    with ground(haproxy) as made:
        panel = Living(made, seed)
        try:
            yield panel
        finally:
            panel.end()
            panel.result.requests, panel.result.failed = made.count.requests, made.count.failed
            if made.count.failed:
                print(made.count.failures(), flush=True)


@dataclass(frozen=True)
class Job:
    """A save of this kind that is harmed in this way at this point."""

    by: str
    kind: str
    point: str


Does = Callable[[Living, Job], None]

MOST = 10
"Divergences after which a sweep gives up."


def all_of(plan: Callable[[Living], list[Job]], haproxy: str, seed: int, do: Does) -> Result:
    """Every job of the plan, which is made on the first installation; after a divergence on a new one."""
    total = Result()
    jobs: list[Job] | None = None
    while jobs != [] and len(total.divergences) < MOST:
        with living(haproxy, seed + total.passes) as panel:
            try:
                if jobs is None:
                    jobs = plan(panel)
                    total.points = len(set(jobs))
                while jobs:
                    do(panel, jobs.pop())
                    panel.result.passes += 1
                    if panel.result.passes % 100 == 0:
                        print(f"  {panel.result.passes}, {len(jobs)} left", flush=True)
            except Diverged as diverged:
                print(f"DIVERGED {diverged}", flush=True)
                panel.result.divergences.append(str(diverged))
                panel.result.passes += 1
        total.add(panel.result)
    return total


@dataclass(frozen=True)
class Axis:
    """The ways of harm: an option's name and its choices."""

    name: str
    choices: Sequence[str]


Learns = Callable[[Living, int, list[str], list[str]], list[Job]]
"An installation, seed, ways of harm and kinds of save: every job that there is."


def command(about: str | None, axis: Axis, kinds: Sequence[str], learned: Learns, do: Does) -> None:
    """The sweep as a command; exits with 1 after a divergence, an end without clear words, or a request that failed."""
    arguments = _arguments(about, axis).parse_args()
    began, haproxy, ways = time.monotonic(), haproxy_binary(arguments.haproxy), arguments.ways or list(axis.choices)
    chosen = arguments.kind or list(kinds)
    name = f"HAProxy {arguments.haproxy}, seed {arguments.seed}"

    def plan(panel: Living) -> list[Job]:
        if arguments.point:
            jobs = [Job(way, chosen[0], arguments.point) for way in ways]
        else:
            jobs = learned(panel, arguments.seed, ways, chosen)
        print(f"{name}: {len(jobs)} points", flush=True)
        passes: list[Job] = jobs * arguments.passes
        random.Random(arguments.seed).shuffle(passes)
        return passes[: arguments.sample]

    result = all_of(plan, haproxy, arguments.seed, do)
    print(f"{name}: {result} ({time.monotonic() - began:.0f} s)")
    for message, count in result.messages.most_common():
        print(f"  {count} × {message}")
    sys.exit(1 if result.divergences or result.unclear or result.failed else 0)


def _arguments(about: str | None, axis: Axis) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passes", type=int, default=1, help=f"per point and {axis.name}")
    parser.add_argument("--sample", type=int, help="that many passes by chance, instead of all")
    parser.add_argument("--haproxy", choices=VERSIONS, default="2.8")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument(f"--{axis.name}", dest="ways", choices=axis.choices, action="append")
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--point", help="this one alone")
    return parser
