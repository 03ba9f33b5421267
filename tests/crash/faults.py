"""A disk that fails in the middle of a save: `make faults`.

    python -m tests.crash.faults [--passes 1] [--sample 20] [--haproxy 2.8] [--seed N] [--fault full] [--kind route] [--point 'fsync current #1']

At each step of a save that touches a file (the release, `current`, the agent's file, temporary files of a check, and all of
SQLite's own): `enospc` and `eio` once; `short`, a write that takes half and says so, once; `torn`, half and then no space;
`full`, no space from there to the save's end for whatever needs some; `readonly`, as `full` but EROFS, as after a kernel
has remounted a failing disk. The panel lives on. Everything must agree, the
operator must be told in words, and the next save, when there is space again, must work.
"""

import errno
import math
import random

from tests.crash.deeds import KINDS
from tests.crash.living import Living, living
from tests.crash.passes import Axis, Frame, Job
from tests.crash.syscalls import Call, Fail, Short, Verdict

WRITES = {"write", "pwrite64"}
TAKES_SPACE = {*WRITES, "open", "openat", "mkdir", "mkdirat", "link", "linkat", "symlink", "symlinkat", "rename", "renameat",
               "renameat2", "ftruncate", "fallocate"}  # fmt: skip
SYNCS = {"fsync", "fdatasync"}
OPENS = {"open", "openat"}

FAULTS = ("enospc", "eio", "short", "torn", "full", "readonly")
ERRORS = {"eio": errno.EIO, "readonly": errno.EROFS}
"Of the others: ENOSPC."
LASTING = {
    "torn": WRITES,
    "full": TAKES_SPACE,
    "readonly": TAKES_SPACE | SYNCS | {"unlink", "unlinkat", "rmdir", "chmod"},
}


def can(fault: str, name: str) -> bool:
    """Whether this call can fail so: a sync has no space to ask for, only writes can be short."""
    match fault:
        case "short" | "torn":
            return name in WRITES
        case "enospc" | "full" | "readonly":
            return name in TAKES_SPACE or name in SYNCS
        case _:
            return True


class Harmed:
    """Does the fault at its point, and what follows from it: to the end, or in `lasts` more calls."""

    def __init__(self, fault: str, point: str, lasts: float = math.inf) -> None:
        self.fault, self.point, self.lasts = fault, point, lasts
        self.hit = False

    def __call__(self, call: Call, occurrence: int) -> Verdict:
        if not call.is_about_files or (self.fault != "eio" and call.name in OPENS and not call.creates):
            return None
        if self.hit:
            return self.afterwards(call)
        if f"{call.label} #{occurrence}" != self.point:
            return None
        self.hit = True
        if self.fault in {"short", "torn"}:
            return Short()
        return Fail(ERRORS.get(self.fault, errno.ENOSPC))

    def afterwards(self, call: Call) -> Verdict:
        """What does not end with the first call."""
        if call.name in LASTING.get(self.fault, set()) and self.lasts > 0:
            self.lasts -= 1
            return Fail(ERRORS.get(self.fault, errno.ENOSPC))
        return None


def do(panel: Living, job: Job) -> None:
    harm = Harmed(job.by, job.point)
    panel.save(job.kind, harm, f"{job.by} at {job.point}, {job.kind}")
    panel.result.hits += harm.hit


def learned(installation: Living, seed: int, faults: list[str], kinds: list[str]) -> list[Job]:
    """Every step of a save that touches a file, with every fault that it can meet."""
    points: dict[tuple[str, str], list[str]] = {}
    for kind in kinds:
        about_files: set[str] = set()

        def note(call: Call, occurrence: int, about_files: set[str] = about_files) -> Verdict:
            if call.is_about_files:
                about_files.add(f"{call.label} #{occurrence}")
            return None

        installation.save(kind, note, f"{kind} without a fault")
        for point in about_files:
            for fault in faults:
                if can(fault, point.split(" ")[0]):
                    points.setdefault((fault, point), []).append(kind)
    chance = random.Random(seed)
    return [Job(fault, chance.choice(sorted(by)), point) for (fault, point), by in sorted(points.items())]


def main() -> None:
    Frame(__doc__, Axis("fault", FAULTS), KINDS, living, learned, do).run()


if __name__ == "__main__":
    main()
