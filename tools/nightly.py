"""Explore, one form after the other: random seeds, long sweeps, every HAProxy at hand. Goes on after one has failed.

    python tools/nightly.py [names of forms]

NIGHTLY_SCALE=0.01 makes all of it a hundredth as long (a quick look whether it runs), NIGHTLY_SEED=123 repeats a night. What
a form that failed printed is kept in test-results/nightly/, with its seed and the command that repeats it. Ends with 1 if
any failed.
"""

import os
import random
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from check import Run
from gates import BIN, GO, ROOT, SPOA, TOGETHER, Gate
from results import readable

SCALE = float(os.environ.get("NIGHTLY_SCALE", "1"))
SEED = int(os.environ.get("NIGHTLY_SEED") or random.SystemRandom().randrange(10**6))
KEPT = ROOT / "test-results" / "nightly"
PYTHON = str(BIN / "python")
MINUTES = 6 * 60
"For one form. What takes longer hangs."


@dataclass(frozen=True)
class Form:
    name: str
    command: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)
    cwd: Path = ROOT

    def __str__(self) -> str:
        """As a shell takes it."""
        words = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
        return f"cd {self.cwd} && {' '.join([*words, shlex.join(self.command)])}"


def some(whole: int, least: int = 1) -> str:
    return str(max(least, round(whole * SCALE)))


def module(name: str, *arguments: str) -> Form:
    return Form(name, [PYTHON, "-m", f"tests.{name}", *arguments, "--seed", str(SEED)])


def pytest(name: str, *arguments: str, **environment: str) -> Form:
    """With other examples of Hypothesis each night, and sets in another order."""
    explores = ("--hypothesis-profile=nightly", f"--hypothesis-seed={SEED}")
    each = {"GUARDPANEL_TEST_EACH": str(max(1, round(1 / SCALE)))} if SCALE < 1 else {}
    return Form(
        name,
        [PYTHON, "-m", "pytest", "-q", *explores, *arguments],
        {"PYTHONHASHSEED": str(SEED), "GUARDPANEL_TEST_ALL": "1", **each, **environment},
    )


def go(name: str, *arguments: str, **environment: str) -> Form:
    command = ["env", f"CGO_ENABLED={'-race' in arguments:d}", str(GO), "test", "-count=1", "-timeout=5h"]
    return Form(name, [*command, *arguments, "./..."], environment, SPOA)


AGAIN = sorted(
    f"tests/live/{path.name}" for path in (ROOT / "tests" / "live").glob("test_*.py") if ".again(" in path.read_text()
)
"What is tried after a restart of HAProxy as after a reload."


def forms() -> list[Form]:
    haproxies = (ROOT / ".tools" / "haproxies-all").read_text().strip()
    others = [f"--ignore=tests/{folder}" for folder in ("live", "load", "crash", "e2e", "parsers")]
    comparisons = {"GUARDPANEL_RX_COMPARISONS": some(12_000_000, 10_000), "GUARDPANEL_RX_SEED": str(SEED)}
    masks = {"GUARDPANEL_MASK_SEED": str(SEED)}
    every = {"GUARDPANEL_CRS": "all"} if SCALE >= 1 else {}
    return [
        pytest("unit", "-n", "3", "--timeout=600", "tests", *others, GUARDPANEL_TEST_EXAMPLES=some(2_000, 20)),
        go("agent", "-race", "-shuffle", str(SEED), **masks),
        go("rx-differential", "-run", "TestTheAutomaton", **comparisons),
        go("evaluate-crs", "-run", "TestEvaluateGivesTheVerdictOfTheLivePath", **every),
        go("recorded-crs", "-run", "TestARecordedRequestIsJudgedAsTheRealOne", **every, **masks),
        go("soak", "-run", "TestSoak", GUARDPANEL_SOAK_SECONDS=some(600, 3)),
        go("reloads", "-run", "TestReloads", GUARDPANEL_RELOADS=some(1_000, 10)),
        pytest("live-all", "-n", "4", *TOGETHER, "tests/live", GUARDPANEL_TEST_HAPROXIES=haproxies),
        pytest("live-restarted", "-n", "4", *AGAIN, GUARDPANEL_TEST_AGAIN="restart"),
        pytest("browser", "-n", "3", *TOGETHER, "tests/e2e", GUARDPANEL_TEST_HAPROXIES=haproxies),
        pytest("short-forms", "-n", "2", "tests/crash", "tests/parsers", "tests/load"),
        pytest(
            "openapi",
            "tests/live/test_openapi_live.py",
            GUARDPANEL_TEST_HAPROXIES=haproxies,
            GUARDPANEL_TEST_REQUESTS=some(100, 2),
            GUARDPANEL_TEST_PHASES="examples,coverage,fuzzing,stateful",
            GUARDPANEL_TEST_SEED=str(SEED),
            GUARDPANEL_TEST_LIMIT="18000",
        ),
        Form("crs", [PYTHON, "-m", "tests.crs", "--compare", *([] if SCALE >= 1 else ["--only", "9421"])]),
        Form("sslyze", ["make", "sslyze"]),
        module("parsers", "--bodies", some(20_000, 100)),
        module("interleavings", "--rounds", some(10_000, 20)),
        module("crash.sweep", "--sample", some(2_000, 4)),
        module("crash.engine_kills", "--sample", some(500, 4)),
        module("crash.order_kills", "--sample", some(600, 4)),
        module("crash.event_kills", "--kills", some(100, 2), "--events", some(60_000, 3_000)),
        module("crash.order_faults", "--sample", some(600, 4)),
        module("crash.faults", "--sample", some(1_000, 4)),
        module("crash.full_disk", "--rounds", some(3)),
        module("load.writers", "--minutes", f"{5 * SCALE:g}"),
        module("load.zero_drop", "--saves", some(1_000, 45), "--requests", some(1_000_000, 5_000)),
    ]


def main() -> None:
    os.environ.setdefault("GUARDPANEL_TEST_HAPROXIES", (ROOT / ".tools" / "haproxies").read_text().strip())
    chosen = [form for form in forms() if form.name in sys.argv[1:] or not sys.argv[1:]]
    if len(chosen) < len(sys.argv[1:]):
        sys.exit(f"there are: {', '.join(form.name for form in forms())}")
    began = time.monotonic()
    print(f"NIGHTLY_SEED={SEED} NIGHTLY_SCALE={SCALE:g}", flush=True)
    failed = [form.name for form in chosen if not passes(form)]
    print(
        f"\n{len(chosen) - len(failed)} of {len(chosen)} passed ({time.monotonic() - began:.0f} s), NIGHTLY_SEED={SEED}"
    )
    if failed:
        sys.exit(f"FAILED: {', '.join(failed)}; what they printed is in {KEPT}")


def passes(form: Form) -> bool:
    print(f"==> {form.name} … ", end="", flush=True)
    words = [f"{name}={value}" for name, value in form.environment.items()]
    run = Run(Gate(form.name, ["env", *words, *form.command], form.cwd, MINUTES))
    try:
        code, output = run.end()
    except KeyboardInterrupt:
        run.stop()
        raise
    print(f"{'FAILED' if code else 'ok'} ({run.seconds:.0f} s)", flush=True)
    if code:
        KEPT.mkdir(parents=True, exist_ok=True)
        kept = KEPT / f"{time.strftime('%Y-%m-%d-%H%M%S')}-{form.name}.txt"
        kept.write_text(f"seed {SEED}, scale {SCALE:g}\n{form}\n\n{readable(output)}\nexit code {code}\n")
        print("\n".join(readable(output).splitlines()[-20:]), f"    {kept}", sep="\n", flush=True)
    return code == 0


if __name__ == "__main__":
    main()
