"""The progress of running saves, for the page that waits for one."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

from guardpanel.errors import Problem, Step

NAMES = ("render", "check", "reload", "verify")
"The steps that operators see. The deployment records finer ones."

READ = "read"
"The step before them, of input that takes long to read."

KEPT = 500


@dataclass
class Progress:
    """The steps of one save, with their start times."""

    steps: list[Step] = field(default_factory=list)
    running: str | None = None
    since: float = field(default_factory=monotonic)
    began: float = field(default_factory=monotonic)
    over: bool = False
    lines: tuple[int, int] = (0, 0)
    "Of the input: read so far, and in all."

    def read(self, line: int, total: int) -> None:
        """How far the input is read."""
        if self.running != READ:
            self.tell(READ)
        self.lines = line, total

    def tell(self, name: str, failed: str | None = None) -> None:
        """Begin a step, which ends the previous one. `failed`: why that one did not succeed."""
        self.end(failed)
        self.running, self.since = name, monotonic()

    def end(self, error: str | None = None) -> None:
        if self.running is not None:
            self.steps.append(Step(self.running, monotonic() - self.since, error))
            self.running = None

    @property
    def seconds(self) -> float:
        return monotonic() - self.began

    def summary(self) -> list[tuple[str, str, float | None]]:
        """(name, state, seconds) of the four steps, after that of reading if there is one. State is `done`, `now`, `failed` or
        `waiting`."""
        return [self._summed_up(name) for name in ((READ,) if any(self.lines) else ()) + NAMES]

    def _summed_up(self, name: str) -> tuple[str, str, float | None]:
        mine = [step for step in self.steps if GROUP.get(step.name) == name]
        last = mine[-1].name if mine else name
        if any(step.error for step in mine if step.name != "swap"):  # A reload follows one that fails.
            state = "failed"
        elif self.running is not None and GROUP.get(self.running) == name:
            state, last = "now", self.running
        elif mine:
            state = "done"
        else:
            state = "waiting"
        return "swap" if last == "swap" else name, state, sum(step.seconds for step in mine) if mine else None


GROUP = {
    READ: READ,
    "render": "render",
    "stage": "render",
    "check": "check",
    "record": "check",
    "agent": "reload",
    "reload": "reload",
    "swap": "reload",
    "verify": "verify",
    "roll back": "verify",
}


class Saves:
    """The progress of recent saves, by the form's key."""

    def __init__(self) -> None:
        self._by_key: OrderedDict[str, Progress] = OrderedDict()
        self._reading: dict[str, Progress] = {}
        "Of those whose input is being read."

    @contextmanager
    def reading(self, key: str) -> Iterator[Progress]:
        """The progress of a save whose input takes long to read, which `begin` goes on with."""
        known, progress = self.find(key), Progress()
        if key and (known is None or known.over):  # Else the same form was sent twice.
            self._reading[key] = self._keep(key, progress)
        try:
            yield progress
        except Problem as problem:
            progress.end(problem.message)
            raise
        finally:
            if self._reading.get(key) is progress:
                del self._reading[key]
            progress.end()
            progress.over = True

    def begin(self, key: str) -> Progress:
        """Of a save."""
        reading = self._reading.pop(key, None)
        return self._keep(key, Progress() if reading is None else reading)

    def _keep(self, key: str, progress: Progress) -> Progress:
        if key:
            self._by_key[key] = progress
            while len(self._by_key) > KEPT:
                self._by_key.popitem(last=False)
        return progress

    def find(self, key: str) -> Progress | None:
        return self._by_key.get(key)
