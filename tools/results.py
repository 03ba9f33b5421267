"""What a gate's tests came to: pytest's from its JUnit XML, Go's from `go test -json`."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

SLOWEST = 15
SLOW = 1.0
"Seconds. What is faster is not named among the slowest."


@dataclass
class Results:
    passed: int = 0
    failed: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    "By test, with its fixtures; of pytest alone."

    def __bool__(self) -> bool:
        return bool(self.passed or self.failed)

    def __str__(self) -> str:
        return f"{self.passed:,} passed, {self.failed:,} failed"

    def add(self, others: "Results") -> None:
        self.passed += others.passed
        self.failed += others.failed

    def slowest(self) -> Iterator[str]:
        """A line for each: seconds and its name."""
        slow = sorted(((seconds, test) for test, seconds in self.seconds.items() if seconds >= SLOW), reverse=True)
        for seconds, test in slow[:SLOWEST]:
            yield f"{seconds:6.1f} s  {test}"


def of_pytest(report: Path) -> Results:
    """Nothing where pytest ended before it could write its report."""
    results = Results()
    if not report.exists():
        return results
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 our own pytest wrote it
        test = f"{case.get('classname', '').removeprefix('tests.').replace('.', '/')}.py::{case.get('name')}"
        results.seconds[test] = results.seconds.get(test, 0.0) + float(case.get("time", 0))
        if case.find("failure") is not None or case.find("error") is not None:
            results.failed += 1
        elif (skipped := case.find("skipped")) is None or skipped.get("type") == "pytest.xfail":
            results.passed += 1
    return results


def of_go(output: str) -> Results:
    results = Results()
    for line in output.splitlines():
        if line.startswith("{") and '"Test":' in line:
            match json.loads(line)["Action"]:
                case "pass":
                    results.passed += 1
                case "fail":
                    results.failed += 1
    return results


def readable(output: str) -> str:
    """What `go test -json` printed, without the tests that passed; anything else as it is."""
    if not output.startswith("{"):
        return output
    events = [json.loads(line) if line.startswith("{") else {"Output": f"{line}\n"} for line in output.splitlines()]
    good = {(event.get("Package"), event.get("Test")) for event in events if event.get("Action") in {"pass", "skip"}}
    return "".join(event.get("Output", "") for event in events if (event.get("Package"), event.get("Test")) not in good)
