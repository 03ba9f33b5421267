"""What shares engines runs in one process of pytest-xdist: a file's tests on one HAProxy. As `--dist loadfile`, in whose place
this is, but a file on two HAProxies is two parts, and the longest file of the browser tests, too. The live tests of whole panels
are one part, since they share one."""

import re
import zlib
from pathlib import PurePath

import pytest
from xdist.scheduler import LoadScopeScheduling

VERSION = re.compile(r"\[(\d+\.\d+)\b")
HALVED = "test_accessibility.py"
SHARE_A_PANEL = (
    "test_refusals_live",
    "test_editing_live",
    "test_fix_live",
    "test_fixed_cases",
    "test_exclusions_by_form",
    "test_site_file_live",
    "test_imported_files",
    "test_typescript_client",
    "test_streams_live",
    "test_concurrent_writers",
    "test_automatic_bans",
    "test_json_actions_live",
    "test_every_field",
    "test_idempotent_live",
)
"In the order in which they run: the last two kill processes of the panel, and the last one ends it."


def part(nodeid: str) -> str:
    file = nodeid.partition("::")[0]
    if PurePath(file).stem in SHARE_A_PANEL:
        return "a shared panel"
    if file.endswith(HALVED):
        return f"{file} {zlib.crc32(nodeid.encode()) % 2}"
    version = VERSION.search(nodeid)
    return f"{file} {version[1]}" if version else file


class Together(LoadScopeScheduling):  # type: ignore[misc]
    def _split_scope(self, nodeid: str) -> str:
        return part(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Together | None:
    return Together(config, log) if config.getoption("dist") == "loadfile" else None
