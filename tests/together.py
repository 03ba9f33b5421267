"""What shares engines runs in one process of pytest-xdist: a file's tests on one HAProxy. As `--dist loadfile`, in whose place
this is, but a file on two HAProxies is two parts, and the longest file of the browser tests, too."""

import re
import zlib

import pytest
from xdist.scheduler import LoadScopeScheduling

VERSION = re.compile(r"\[(\d+\.\d+)\b")
HALVED = "test_accessibility.py"


def part(nodeid: str) -> str:
    file = nodeid.partition("::")[0]
    if file.endswith(HALVED):
        return f"{file} {zlib.crc32(nodeid.encode()) % 2}"
    version = VERSION.search(nodeid)
    return f"{file} {version[1]}" if version else file


class Together(LoadScopeScheduling):  # type: ignore[misc]
    def _split_scope(self, nodeid: str) -> str:
        return part(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Together | None:
    return Together(config, log) if config.getoption("dist") == "loadfile" else None
