"""Run the gates that CI runs, one line each with its seconds; all of them, also after one has failed.

Two run at a time, the longest first, so that no core is idle before the end: what starts engines and browsers waits for them a
good part of its time. Each is told whole, in the order of the list, so one that was over long before may be told after one that
took longer.

    python tools/check.py [lint] [unit] [agent] [live] [parsers] [load] [crash] [e2e] [race] [-- arguments for pytest]

Ends with what failed and with how many tests passed and failed. A gate that hangs is ended at its limit, by its own
process group.
"""

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from gates import ROOT, Gate, gates, pytest_arguments
from results import Results, of_go, of_pytest, readable

HAPROXIES = ROOT / ".tools" / "haproxies"
PYTEST_NO_TESTS = 5

MEMORY, ROOM = Path("/dev/shm"), 1 << 30  # noqa: S108 tempfile makes what is used in it
"A file system in memory where there is one, and how many bytes must be free. Tests leave some megabytes."

AT_ONCE = 2
"Gates."

ASKED_FOR = {"race"}
"""No part of all: for the race detector Go's library and all of the agent's are compiled a second time, and its tests take more
than twice as long: together an eighth of all gates. `make agent` is for who changes the agent; `make nightly` runs it, too."""


def main() -> None:
    names = sys.argv[1 : sys.argv.index("--")] if "--" in sys.argv else sys.argv[1:]
    if "GUARDPANEL_TEST_HAPROXIES" not in os.environ and HAPROXIES.exists():
        os.environ["GUARDPANEL_TEST_HAPROXIES"] = HAPROXIES.read_text().strip()
    groups = gates()
    if unknown := set(names) - set(groups):
        sys.exit(f"no such gates: {', '.join(unknown)}; there are {', '.join(groups)}")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what one worker has compiled, no other need compile
    os.environ.setdefault("PYTHONHASHSEED", "1")  # equal runs, down to the order of a set
    usual = [group for group in groups if group not in ASKED_FOR]
    results = Results()
    began = time.monotonic()
    failed = failures([gate for group in names or usual for gate in groups[group]], results)
    took = f"{time.monotonic() - began:.0f} s, {processor():.0f} s of the processor's time"
    print(f"\n{'FAILED: ' + ', '.join(failed) if failed else 'All gates passed'} ({took})")
    if results:
        print(results)
    sys.exit(1 if failed else 0)


def processor() -> float:
    """What the gates took, in seconds. On a busy machine this alone says whether they became slower."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def failures(gates: Sequence[Gate], results: Results) -> list[str]:
    """The names of those that fail."""
    runs = {gate.name: Run(gate) for gate in gates}
    pool = ThreadPoolExecutor(AT_ONCE)
    longest_first = sorted(gates, key=lambda gate: -gate.seconds)
    ends = {gate.name: pool.submit(runs[gate.name].end) for gate in longest_first}
    try:
        return [gate.name for gate in gates if not passes(runs[gate.name], ends[gate.name], results)]
    except KeyboardInterrupt:
        pool.shutdown(wait=False, cancel_futures=True)
        for run in runs.values():
            if run.stop():
                print(f"\n==> {run.gate.name}\n{readable(run.printed())}")
        sys.exit(130)


def passes(run: "Run", end: "Future[tuple[int, str]]", results: Results) -> bool:
    gate = run.gate
    print(f"==> {gate.name} … ", end="", flush=True)
    code, output = end.result()
    its = of_go(output) if gate.is_go_test else of_pytest(gate.report) if gate.report else Results()
    results.add(its)
    well = code == 0 and not (gate.silence_is_good and output.strip())
    if pytest_arguments() and code == PYTEST_NO_TESTS:
        well = True
    if gate.report and not gate.report.exists():
        well = False  # nobody knows what ran
    print(f"{'ok' if well else 'FAILED'} ({run.seconds:.1f} s)")
    if not well:
        print(readable(output).rstrip() or f"exit code {code}", flush=True)
    elif gate.report:
        print("\n    ".join([f"    {its}", *its.slowest()]), flush=True)
    return well


def folder_in_memory() -> Path | None:
    """A new one, with a short path since sockets lie in it."""
    try:
        roomy = shutil.disk_usage(MEMORY).free > ROOM
        return Path(tempfile.mkdtemp(prefix="gp", dir=MEMORY)) if roomy else None
    except OSError:
        return None


class Run:
    """A gate that runs, in a process group of its own, so that its end is the end of all it started."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.output = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 a pipe would hold up who is not read
        self.process: subprocess.Popen[bytes] | None = None
        self.folder: Path | None = None
        self.seconds = 0.0

    def end(self) -> tuple[int, str]:
        """Run it. Its exit code and what it printed."""
        began = time.monotonic()
        try:
            code, note = self._start().wait(self.gate.minutes * 60), ""
        except OSError as error:
            code, note = 1, f"cannot run {self.gate.command[0]}: {error.strerror}"
        except subprocess.TimeoutExpired:
            self.stop()
            code, note = 1, f"\nended: it ran longer than {self.gate.minutes} minutes"
        finally:
            if self.folder:
                shutil.rmtree(self.folder, ignore_errors=True)
        self.seconds = time.monotonic() - began
        return code, self.printed() + note

    def _start(self) -> "subprocess.Popen[bytes]":
        if self.gate.report:
            self.gate.report.unlink(missing_ok=True)
        self.folder = folder_in_memory() if self.gate.in_memory else None
        environment = {**os.environ, "TMPDIR": str(self.folder)} if self.folder else None
        # pytest's usual folders of a run and a user in it would make the paths of sockets too long.
        short = [f"--basetemp={self.folder}/t"] if self.folder and self.gate.report else []
        self.process = subprocess.Popen(
            [*self.gate.command, *short], cwd=self.gate.cwd, env=environment, stdin=subprocess.DEVNULL, stdout=self.output,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        return self.process

    def printed(self) -> str:
        self.output.seek(0)
        return self.output.read()

    def stop(self) -> bool:
        """By its group: asked as by Ctrl-C, so that pytest says where it was, then killed. Whether it ran."""
        if self.process is None or self.process.poll() is not None:
            return False
        for how in (signal.SIGINT, signal.SIGKILL):
            with suppress(ProcessLookupError):  # it has ended since
                os.killpg(self.process.pid, how)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
                break
        return True


if __name__ == "__main__":
    main()
