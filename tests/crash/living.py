"""A panel that goes on living while something is done to it in the middle of a save.

What `faults` and `engine_kills` share: the save must end in the operator's sight, live or refused in clear words; then
everything must agree, and the next save must work, in the same panel.
"""

import contextlib
import random
import re
from collections.abc import Callable, Iterator
from functools import partial

from tests.crash.deeds import CHEAP, choose
from tests.crash.ground import BROKEN, ENDED, REFUSED, SAVED, SAVING, UP, Ground, ground, read_beside
from tests.crash.oracle import PATIENCE_SECONDS, world_in
from tests.crash.passes import Diverged, Result
from tests.crash.syscalls import Call, Child, Verdict
from tests.crash.world import Deed, World

LIVE = re.compile(r"Live as revision \d+, but that could not be recorded yet|The (ban|list) is stored, but ")
"The problems after which the change is there."

LIFE = 40
"Passes of one panel, before a new one takes over."

Harm = Callable[[Call, int], Verdict]
"Asked at every call of a save, with how often this label came before: what to do to it, or (None) nothing."


class Living:
    def __init__(self, made: Ground, seed: int) -> None:
        self.ground = made
        self.chance = random.Random(seed)
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
            self.result.broken(f"{what}: no Problem but {broken['error']}")
            return before, deed.after
        if (refused := child.shared.about(f"{REFUSED} {number}")) is None:
            self.result.ends["live"] += 1
            return (deed.after,)
        self.result.ends[str(refused["problem"])] += 1
        self.result.told(str(refused["message"]), what)
        return (deed.after,) if LIVE.match(str(refused["message"])) else (before,)

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
        return read_beside(self._child, partial(world_in, self.ground.folder))

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
