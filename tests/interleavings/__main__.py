"""Run random interleavings; the seed of one that fails is printed.

python -m tests.interleavings --rounds 10000
python -m tests.interleavings --replay 1764135845017      (that one again, then its shortest failing beginning)
"""

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.interleavings.plants import PLANTS
from tests.interleavings.run import make_template, one_run
from tests.interleavings.scheduler import seed_of_today

LIVES = 4


def sweep(template: Path, rounds: int, first: int, plant: Callable[[], None], seconds: float) -> bool:
    """True: as many rounds as asked for, and no fault."""
    began, done, lives, killed, seed = time.monotonic(), 0, 0, 0, first
    while done < rounds and time.monotonic() - began < seconds:
        ended = one_run(template, seed, LIVES, plant)
        done, lives, killed = done + ended.rounds, lives + ended.lives, killed + ended.killed
        if ended.fault:
            print(f"seed {seed} fails in life {ended.lives} after {done} rounds")
            return False
        seed += 1
    print(f"{done} rounds in {lives} lives, {killed} of them killed, from seed {first} on: no fault "
          f"({time.monotonic() - began:.0f} s)")  # fmt: skip
    return done >= rounds


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rounds", type=int, default=10_000)
    arguments.add_argument("--seed", type=int, default=seed_of_today() * 1000)
    arguments.add_argument("--replay", type=int)
    arguments.add_argument("--plant", choices=PLANTS, help="a fault to put into the panel")
    arguments.add_argument("--seconds", type=float, default=3600.0)
    given = arguments.parse_args()
    logging.disable(logging.CRITICAL)
    plant = PLANTS[given.plant] if given.plant else lambda: None
    with tempfile.TemporaryDirectory(prefix="gp") as folder:
        template = Path(folder) / "template.db"
        make_template(template)
        if given.replay is not None:
            ended = one_run(template, given.replay, LIVES, plant)
            sys.exit(int(ended.fault))
        print(f"seed {given.seed}", flush=True)
        sys.exit(0 if sweep(template, given.rounds, given.seed, plant, given.seconds) else 1)


if __name__ == "__main__":
    main()
