"""A file planned and applied by the command, through a running panel."""

import json
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.panel import ROOT, Panel
from tests.web import EMAIL

pytestmark = [pytest.mark.one_haproxy]

SITE = """\
policies:
- name: From a file
  enforcement_mode: block
virtual_hosts:
- hostnames: [file.example]
  policy: From a file
  servers:
  - address: 127.0.0.1:9
"""


def run(panel: Panel, *words: str, stdin: str = "") -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "guardpanel", *words],
        input=stdin, text=True, capture_output=True, env=panel.environment, cwd=ROOT, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_a_file_is_planned_and_applied_by_the_command(shared_panel: Panel, tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(SITE)

    code, output, _ = run(shared_panel, "plan", str(file), "--diff")
    assert code == 2, output
    assert output.startswith(
        "+ Added policy From a file\n+ Added virtual host file.example\n2 added.\n--- haproxy.cfg\n"
    )
    assert "\n+  server " in output.replace("    ", "  ") or "server" in output

    code, output, problem = run(shared_panel, "apply", str(file))
    assert code == 0, problem
    assert "Live in" in output
    assert httpx2.get(shared_panel.proxy, headers={"host": "file.example"}).status_code == 503

    code, output, _ = run(shared_panel, "plan", "-", stdin=SITE)
    assert (code, output) == (0, "Nothing would change: the file says what is live.\n")
    code, output, _ = run(shared_panel, "apply", "-", "--json", stdin=SITE)
    assert (code, json.loads(output)) == (0, {"changes": [], "deployment": None})
    assert "- name: From a file\n  enforcement_mode: block\n" in shared_panel.command("export")


def test_a_refusal_names_the_files_line(shared_panel: Panel, tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(SITE.replace("policy: From a file", "policy: From the file").replace("block", "blok"))

    for verb in ("plan", "apply"):
        code, output, problem = run(shared_panel, verb, str(file))

        assert (code, output) == (1, "")
        assert f"{file}:3: policies.0.enforcement_mode: Choose one of" in problem
        assert f"{file}:6: virtual_hosts.0.policy: There is no policy named From the file." in problem


def test_a_command_says_who_and_where(shared_panel: Panel) -> None:
    code, _, problem = run(shared_panel, "plan", "-", "--as", "nobody@example.org", stdin=SITE)
    assert (code, problem) == (1, "There is no administrator named nobody@example.org.\n")

    elsewhere = Panel(shared_panel.data)
    code, _, problem = run(elsewhere, "plan", "-", "--as", EMAIL, stdin=SITE)
    assert code == 1
    assert problem.startswith(f"The panel does not respond at 127.0.0.1:{elsewhere.port} (GUARDPANEL_LISTEN).")
