"""The frame of a sweep: harm is done to an installation at one point after the other, and counted what came of it.

What `faults`, `engine_kills`, `order_faults` and `order_kills` share.
"""

import argparse
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from tests.haproxies import VERSIONS, haproxy_binary

UNCLEAR = re.compile(r"Errno|Error\b|Exception|Traceback|sqlite3|sqlalchemy|aiosqlite|0x[0-9a-f]{6}|\[SQL|^$")
"What an operator cannot do anything with."

MOST = 10
"Divergences after which a sweep gives up."


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
    "How it ended, or how far it was."
    messages: Counter[str] = field(default_factory=Counter)
    "What the operator was told."

    def __str__(self) -> str:
        ends = ", ".join(f"{count} {what}" for what, count in sorted(self.ends.items()))
        return (
            f"{self.points} points, {self.passes} passes, {self.hits} hits ({ends}): "
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

    def told(self, message: str, what: str) -> None:
        """An operator reads this."""
        self.messages[re.sub(r"\d+", "N", message)] += 1
        if UNCLEAR.search(message):
            self.broken(f"{what}: not an operator's words: {message}")

    def broken(self, words: str) -> None:
        print(f"UNCLEAR {words}", flush=True)
        self.unclear.append(words)


@dataclass(frozen=True)
class Job:
    """Something of this kind that is harmed in this way at this point."""

    by: str
    kind: str
    point: str


@dataclass(frozen=True)
class Axis:
    """The ways of harm: an option's name and its choices."""

    name: str
    choices: Sequence[str]


class Installation(Protocol):
    result: Result


T = TypeVar("T", bound=Installation)


def nothing(_installation: object) -> None:
    """For a sweep whose end needs no look."""


@dataclass(frozen=True)
class Frame(Generic[T]):
    """A sweep as a command, which exits with 1 after a divergence, an end without clear words, or a request that failed."""

    about: str | None
    axis: Axis
    kinds: Sequence[str]
    opened: Callable[[str, int], AbstractContextManager[T]]
    "An installation, for a HAProxy and a seed."
    learned: Callable[[T, int, list[str], list[str]], list[Job]]
    "With seed, ways of harm and kinds: every job that there is."
    do: Callable[[T, Job], None]
    usual: Sequence[str] = ()
    "The kinds without an option. Empty: all."
    last: Callable[[T], None] = nothing
    "A look at the end, unless single points are replayed."

    def run(self) -> None:
        arguments = self._arguments().parse_args()
        began, name = time.monotonic(), f"HAProxy {arguments.haproxy}, seed {arguments.seed}"

        def plan(installation: T) -> list[Job]:
            jobs = self._jobs(installation, arguments)
            print(f"{name}: {len(jobs)} points", flush=True)
            passes: list[Job] = jobs * arguments.passes
            random.Random(arguments.seed).shuffle(passes)
            return passes[: arguments.sample]

        result = self.all_of(plan, arguments, nothing if arguments.point else self.last)
        print(f"{name}: {result} ({time.monotonic() - began:.0f} s)")
        for message, count in result.messages.most_common():
            print(f"  {count} × {message}")
        sys.exit(1 if result.divergences or result.unclear or result.failed else 0)

    def _jobs(self, installation: T, arguments: argparse.Namespace) -> list[Job]:
        ways, kinds = arguments.ways or list(self.axis.choices), arguments.kind or list(self.usual or self.kinds)
        if arguments.point:
            return [Job(way, kinds[0], point) for way in ways for point in arguments.point]
        return self.learned(installation, arguments.seed, ways, kinds)

    def all_of(
        self, plan: Callable[[T], list[Job]], arguments: argparse.Namespace, last: Callable[[T], None]
    ) -> Result:
        """Every job of the plan, which is made on the first installation; after a divergence on a new one."""
        total = Result()
        jobs: list[Job] | None = None
        while jobs != [] and len(total.divergences) < MOST:
            with self.opened(haproxy_binary(arguments.haproxy), arguments.seed + total.passes) as installation:
                result = installation.result
                try:
                    if jobs is None:
                        jobs = plan(installation)
                        total.points = len(set(jobs))
                    while jobs:
                        self.do(installation, jobs.pop())
                        result.passes += 1
                        if result.passes % 100 == 0:
                            print(f"  {result.passes}, {len(jobs)} left", flush=True)
                    last(installation)
                except Diverged as diverged:
                    print(f"DIVERGED {diverged}", flush=True)
                    result.divergences.append(str(diverged))
                    result.passes += 1
            total.add(result)
        return total

    def _arguments(self) -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(description=self.about, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--passes", type=int, default=1, help=f"per point and {self.axis.name}")
        parser.add_argument("--sample", type=int, help="that many passes by chance, instead of all")
        parser.add_argument("--haproxy", choices=VERSIONS, default="2.8")
        parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
        parser.add_argument(f"--{self.axis.name}", dest="ways", choices=self.axis.choices, action="append")
        parser.add_argument("--kind", choices=self.kinds, action="append")
        parser.add_argument("--point", action="append", help="these alone")
        return parser
