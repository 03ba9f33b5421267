"""The tests as they lie in the agent's Go module, in the format of go-ftw."""

import base64
import functools
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.live.stack import ROOT

MODULE = "github.com/corazawaf/coraza-coreruleset/v4"
REPEAT = re.compile(r'\{\{\s*"([^"]*)"\s*\|\s*repeat\s+(\d+)\s*\}\}')


@dataclass(frozen=True)
class Stage:
    test: str
    "Rule and number: 942100-3."
    file: str
    "REQUEST-942-APPLICATION-ATTACK-SQLI/942100.yaml"
    request: bytes
    uri: str
    expected: frozenset[int]
    unexpected: frozenset[int]
    status: int | None
    expects_error: bool
    words: str
    "A pattern that a line of the log must match."
    no_words: str
    "One that none may."


def folder() -> Path:
    result = subprocess.run(
        ["../tools/go.sh", "list", "-m", "-f", "{{.Dir}}", MODULE],
        cwd=ROOT / "spoa",
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(result.stdout.strip()) / "tests"


@functools.cache
def stages() -> tuple[Stage, ...]:
    """All 4,680 stages of the 4,674 tests, in the order of files."""
    return tuple(_read())


def _read() -> Iterator[Stage]:
    root = folder()
    for path in sorted(root.glob("*/*.yaml")):
        file = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        for test in (file or {}).get("tests") or []:  # 920539.yaml is empty
            for stage in test["stages"]:
                yield _stage(f"{file['rule_id']}-{test['test_id']}", str(path.relative_to(root)), stage)


def _stage(test: str, file: str, stage: dict[str, Any]) -> Stage:
    output, log = stage["output"], stage["output"].get("log") or {}
    return Stage(
        test=test,
        file=file,
        request=_request(stage["input"]),
        uri=str(stage["input"].get("uri") or "/"),
        expected=frozenset(log.get("expect_ids") or ()),
        unexpected=frozenset(log.get("no_expect_ids") or ()),
        status=output.get("status"),
        expects_error=bool(output.get("expect_error")),
        words=str(log.get("match_regex") or ""),
        no_words=str(log.get("no_match_regex") or ""),
    )


def _request(given: dict[str, Any]) -> bytes:
    """The bytes that go-ftw would send."""
    if given.get("encoded_request"):
        return base64.b64decode(given["encoded_request"])
    body = REPEAT.sub(lambda match: match[1] * int(match[2]), str(given.get("data") or "")).encode()
    headers = {str(name): str(value) for name, value in (given.get("headers") or {}).items()}
    names = {name.lower() for name in headers}
    if given.get("autocomplete_headers", True):
        if body and "content-type" not in names:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        if body and not names & {"content-length", "transfer-encoding"}:
            headers["Content-Length"] = str(len(body))
        if "connection" not in names:
            headers["Connection"] = "close"
    first = f"{given.get('method') or 'GET'} {given.get('uri') or '/'} {given.get('version') or 'HTTP/1.1'}"
    lines = [first, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + body
