"""The gates that CI runs: what each one is, and how it is started."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = ROOT / ".venv" / "bin"
GO = ROOT / "tools" / "go.sh"
SPOA = ROOT / "spoa"
VISITORS = ROOT / "tests" / "load" / "visitors"
LOAD = ROOT / "bench" / "load"
READER = ROOT / "tests" / "parsers" / "readers" / "go"
REPORTS = ROOT / "test-results"

BIOME = ("lint", "--config-path=tools", "--error-on-warnings", "--vcs-enabled=false")

TOGETHER = ("--dist", "loadfile", "--no-loadscope-reorder")
"What shares engines stays together (tests/together.py), and the longest begins first."

UNHURRIED = ("github.com/goccy/...", "google.golang.org/protobuf/...", "crypto/...", "net/...", "encoding/...")
"Packages that the agent's tests hardly run. With the race detector, optimising them takes longer than it saves."


@dataclass(frozen=True)
class Gate:
    name: str
    command: Sequence[str | Path]
    cwd: Path = ROOT
    minutes: int = 5
    report: Path | None = None
    "pytest's JUnit XML."
    is_go_test: bool = False
    silence_is_good: bool = False
    "Fails if it prints anything (gofmt -l)."
    seconds: int = 5
    "About how long it takes. The longest begin first."
    in_memory: bool = False
    "Its temporary files need no disk: a fifth of the processor's time of tests with databases."


def pytest(name: str, *arguments: str, minutes: int, seconds: int) -> Gate:
    report = REPORTS / f"{re.sub('[^a-z]+', '-', name)}.xml"
    command = [str(BIN / "python"), "-m", "pytest", "-q", f"--junit-xml={report}", *arguments, *pytest_arguments()]
    return Gate(name, command, ROOT, minutes, report, seconds=seconds, in_memory=True)


def go_test(name: str, cwd: Path, *flags: str, minutes: int, seconds: int) -> Gate:
    race = "-race" in flags  # it needs cgo
    command = ["env", f"CGO_ENABLED={race:d}", str(GO), "test", *flags, "-json", "./..."]
    return Gate(name, command, cwd, minutes, is_go_test=True, seconds=seconds)


def gates() -> dict[str, list[Gate]]:
    haproxies = os.environ.get("GUARDPANEL_TEST_HAPROXIES", "").count(":") + 1
    race = ["-race"] if shutil.which("cc") or shutil.which("gcc") else []
    unhurried = [f"-gcflags={packages}=-N -l" for packages in UNHURRIED if race]
    return {
        "lint": [
            Gate("ruff check", [BIN / "ruff", "check", "."]),
            Gate("ruff format", [BIN / "ruff", "format", "--check", "."]),
            Gate("mypy --strict", [BIN / "mypy"], seconds=40),
            Gate("import contracts", [BIN / "lint-imports"]),
            Gate("djlint (templates)", [BIN / "djlint", "--lint", "--quiet", "guardpanel/templates"]),
            Gate(
                "biome (CSS and JavaScript)", [BIN / "biome", *BIOME, "guardpanel/static/css", "guardpanel/static/js"]
            ),
            Gate("TypeScript client (tsc --strict)", [ROOT / "tools" / "client.sh"], minutes=10, seconds=15),
            Gate("redocly (openapi.json)", [ROOT / "tools" / "openapi.sh", "lint"], minutes=10, seconds=10),
            Gate("oasdiff (openapi.json)", [ROOT / "tools" / "openapi.sh", "breaking"], minutes=10),
            Gate("gofmt", [gofmt, "-l", SPOA, VISITORS, LOAD, READER], silence_is_good=True)
            if (gofmt := go_tool("gofmt"))
            else no_go(),
            Gate("go vet", [GO, "vet", "./..."], SPOA, 15),
            Gate("go vet (visitors)", [GO, "vet", "./..."], VISITORS, 15),
            Gate("go vet (load client)", [GO, "vet", "./..."], LOAD, 15),
            Gate("go vet (reader of bodies)", [GO, "vet", "./..."], READER, 15),
        ],
        "unit": [
            pytest(
                "unit tests",
                "-n",
                "2",
                "tests",
                "--ignore=tests/live",
                "--ignore=tests/parsers",
                "--ignore=tests/load",
                "--ignore=tests/crash",
                "--ignore=tests/e2e",
                minutes=40,
                seconds=450,
            )
        ],
        "agent": [go_test("go test", SPOA, minutes=30, seconds=40)],
        "race": [go_test(f"go test {' '.join(race)}".rstrip(), SPOA, *race, *unhurried, minutes=30, seconds=100)],
        # More at once than cores: what starts engines and browsers waits for them a part of its time.
        "live": [
            pytest(
                "live tests", "-n", "4", *TOGETHER, "tests/live", minutes=30 + 15 * max(haproxies - 2, 0), seconds=250
            )
        ],
        # One process: a second one would have an agent and all parsers of its own, for ten seconds' work.
        "parsers": [pytest("bodies as applications read them", "tests/parsers", minutes=10, seconds=10)],
        "load": [
            go_test("go test (visitors)", VISITORS, minutes=15, seconds=10),
            go_test("go test (load client)", LOAD, minutes=15, seconds=10),
            pytest(
                "saves under load (HAProxy 2.6 and 2.8)", "-n", "2", *TOGETHER, "tests/load", minutes=15, seconds=35
            ),
        ],
        "crash": [pytest("kill sweeps and file faults, short", "-n", "3", "tests/crash", minutes=20, seconds=70)],
        "e2e": [pytest("browser tests", "-n", "3", *TOGETHER, "tests/e2e", minutes=20, seconds=100)],
    }


def go_tool(name: str) -> Path | None:
    result = subprocess.run([GO, "env", "GOROOT"], capture_output=True, text=True, cwd=ROOT, check=False)
    tool = Path(result.stdout.strip()) / "bin" / name
    return tool if result.returncode == 0 and tool.exists() else None


def no_go() -> Gate:
    return Gate("gofmt", ["sh", "-c", "echo 'there is no gofmt beside go'; exit 1"])


def pytest_arguments() -> list[str]:
    return sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
