"""A data directory on a small disk that is really full (a tmpfs): part of `make faults`.

    python -m tests.crash.full_disk [--rounds 3] [--haproxy 2.8] [--seed N]

Runs itself again in a mount namespace of its own (as root, or in a user namespace), so nothing outside sees the mount.
Before each save the disk is filled until some KiB are free, from none to more than a save needs; then the save must end
live or refused in clear words, and once there is space again, all agree and the next save works. HAProxy, whose log is on
the same disk, and the agent go on answering.
"""

import argparse
import contextlib
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.crash.deeds import KINDS
from tests.crash.ground import ENDED, ground
from tests.crash.living import Living
from tests.crash.passes import Diverged
from tests.haproxies import VERSIONS, haproxy_binary

SIZE = "96m"
FREE_KIB = (0, 4, 16, 48, 96, 192, 512, 2048)
BLOCK = 4096


@contextlib.contextmanager
def filled(folder: Path, free_kib: int) -> Iterator[None]:
    """Only so much is free, in whole pages."""
    ballast = folder / "ballast"
    try:
        with ballast.open("wb", buffering=0) as written:
            with contextlib.suppress(OSError):
                while True:
                    written.write(bytes(16 * BLOCK))
            with contextlib.suppress(OSError):
                while True:
                    written.write(bytes(BLOCK))
            written.truncate(max(0, written.tell() - free_kib * 1024))
        yield
    finally:
        ballast.unlink()


def save_when(panel: Living, kind: str, free_kib: int) -> None:
    """A save on a disk with so much space; then agreement and another save, with plenty."""
    what = f"{kind} with {free_kib} KiB free"
    child, before = panel.child(), panel.world()
    deed, number = panel.order(child, before, kind)
    with filled(panel.ground.folder, free_kib):
        if not child.run(f"{ENDED} {number}"):
            raise Diverged(f"{what}: the panel died: {panel.ground.words()}")
    panel.judge(child, number, before, deed, f"{what} ({deed.words})")
    panel.result.passes += 1


def inside(arguments: argparse.Namespace) -> int:
    """In the namespace."""
    folder = Path(tempfile.mkdtemp(prefix="gpf"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder], check=True)
    chance = random.Random(arguments.seed)
    with ground(haproxy_binary(arguments.haproxy), folder) as made:
        panel = Living(made, arguments.seed)
        try:
            for free_kib in FREE_KIB * arguments.rounds:
                save_when(panel, chance.choice(KINDS), free_kib)
        except Diverged as diverged:
            print(f"DIVERGED {diverged}", flush=True)
            panel.result.divergences.append(str(diverged))
        finally:
            panel.end()
        panel.result.requests, panel.result.failed = made.count.requests, made.count.failed
        print(made.count.failures(), end="")
    print(f"HAProxy {arguments.haproxy}, seed {arguments.seed}, a full disk: {panel.result}")
    for message, count in panel.result.messages.most_common():
        print(f"  {count} × {message}")
    return 1 if panel.result.divergences or panel.result.unclear or panel.result.failed else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--haproxy", choices=VERSIONS, default="2.8")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        sys.exit(inside(arguments))
    own = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    again = [
        *own,
        sys.executable,
        "-m",
        "tests.crash.full_disk",
        *sys.argv[1:],
        "--seed",
        str(arguments.seed),
        "--inside",
    ]
    sys.exit(subprocess.run(again, check=False).returncode)


if __name__ == "__main__":
    main()
