"""What openapi.json says of each operation holds of a whole panel: schemathesis sends what the document allows and what it does
not, with all of its checks. `make nightly` sends much more of it, with other seeds."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.haproxies import ONE_VERSION, haproxy_binary
from tests.panel import ROOT, Panel, running_panel
from tests.web import an_account, bearer

pytestmark = pytest.mark.one_haproxy

EXAMPLES = os.environ.get("GUARDPANEL_TEST_REQUESTS", "2")
"Requests of each kind to each operation."

SEED = os.environ.get("GUARDPANEL_TEST_SEED", "1")
PHASES = os.environ.get("GUARDPANEL_TEST_PHASES", "examples,fuzzing")


def lasting_token(panel: Panel) -> str:
    """An access token that does not expire while this runs."""
    with bearer(panel) as client:
        token = str(client.headers["authorization"]).removeprefix("Bearer ")
    with closing(sqlite3.connect(panel.data / "guardpanel.db", timeout=30)) as database, database:
        database.execute("UPDATE accesstoken SET expires_at = strftime('%Y-%m-%d %H:%M:%f000', 'now', '+1 day')")
    return token


LIMIT = int(os.environ.get("GUARDPANEL_TEST_LIMIT", "300"))


@pytest.mark.timeout(LIMIT)
def test_the_api_is_as_its_document_says(tmp_path: Path) -> None:
    with running_panel(haproxy_binary(ONE_VERSION[0])) as panel:
        an_account(panel)
        command = [
            str(Path(sys.executable).parent / "st"), "--config-file", str(Path(__file__).with_name("schemathesis.toml")),
            "run", str(ROOT / "openapi.json"), "--url", panel.url, "--checks", "all", "--phases", PHASES,
            "--max-examples", EXAMPLES, "--seed", SEED, "--no-color", "--generation-database", "none",
        ]  # fmt: skip
        environment = {**os.environ, "GUARDPANEL_TEST_TOKEN": lasting_token(panel)}
        result = subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=LIMIT * 3, check=False
        )

    assert result.returncode == 0, result.stdout + result.stderr
    document = json.loads((ROOT / "openapi.json").read_text("utf-8"))
    every = sum(len(operations) for operations in document["paths"].values())
    streams = sum(path.endswith("/stream") for path in document["paths"])
    assert f"Selected: {every - streams}/{every}" in result.stdout
