"""`kill -9` of the WAF agent, of HAProxy's worker and of its master at every step of a save: `make crash-engines`.

    python -m tests.crash.engine_kills [--passes 1] [--sample 20] [--haproxy 2.8] [--seed N] [--who agent] [--kind route] [--point '…']

The panel lives; `guardpanel up`'s supervisor starts again what died. The save must end live or refused in clear words, and
then everything must agree, without a restart of the panel. While an engine is dead requests may fail: they count again
as soon as everybody agrees.
"""

import os
import random
import signal
from contextlib import suppress

from tests.crash.deeds import KINDS
from tests.crash.living import Living, living
from tests.crash.passes import Axis, Frame, Job
from tests.crash.sweep import is_waiting
from tests.crash.syscalls import Call, Verdict

WHO = ("agent", "worker", "master")


class Killer:
    """Kills an engine when the save comes by the point. Its pid is asked for before the save."""

    def __init__(self, panel: Living, job: Job) -> None:
        self.panel, self.job = panel, job
        self.hit = False
        oracle = panel.ground.oracle
        self.agent = int(oracle.agent_status()["pid"])
        self.master, self.workers = oracle.haproxy_processes()

    def __call__(self, call: Call, occurrence: int) -> Verdict:
        if not self.hit and f"{call.label} #{occurrence}" == self.job.point:
            self.hit = True
            self.panel.ground.count.stop_counting()
            with suppress(ProcessLookupError):
                os.kill(self.pid(), signal.SIGKILL)
        return None

    def pid(self) -> int:
        """A reload during the save makes another worker the newest."""
        if self.job.by == "worker":
            with suppress(OSError, ValueError, IndexError):
                return self.panel.ground.oracle.haproxy_processes()[1][0]
        return {"agent": self.agent, "master": self.master, "worker": self.workers[0]}[self.job.by]


def do(panel: Living, job: Job) -> None:
    panel.agreed(panel.child(), (panel.world(),), "before a pass")
    panel.ground.count.count_again()
    killer = Killer(panel, job)
    panel.save(job.kind, killer, f"{job.by} killed at {job.point}, {job.kind}")
    panel.result.hits += killer.hit


def learned(installation: Living, seed: int, who: list[str], kinds: list[str]) -> list[Job]:
    """Steps that act; and of those that wait every tenth."""
    kinds_at: dict[str, list[str]] = {}
    for kind in kinds:
        for point in installation.save(kind, lambda _call, _occurrence: None, f"{kind} without a kill"):
            kinds_at.setdefault(point, []).append(kind)
    points = [point for point in kinds_at if not is_waiting(point)]
    points += [point for point in kinds_at if is_waiting(point)][::10]
    chance = random.Random(seed)
    return [Job(one_of, chance.choice(kinds_at[point]), point) for point in points for one_of in who]


def main() -> None:
    Frame(__doc__, Axis("who", WHO), KINDS, living, learned, do, usual=("route", "policy", "create", "delete")).run()


if __name__ == "__main__":
    main()
