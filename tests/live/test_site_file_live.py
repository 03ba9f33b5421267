"""A file planned and applied by the command, through a running panel."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner

from guardpanel.cli import main
from tests.panel import ROOT, Panel
from tests.web import EMAIL

pytestmark = [pytest.mark.one_haproxy]

SITE = """\
policies:
- name: From a file
  enforcement_mode: block
  inbound_anomaly_threshold: 77
virtual_hosts:
- hostnames: [file.example]
  policy: From a file
  servers:
  - address: 127.0.0.1:9
"""
"With a threshold of its own: the agent has one application for all policies that judge alike."


REPLAYED = """\
policies:
- name: Replayed
  enforcement_mode: block
  record_one_in: 1
  record_per_day: 10000
  inbound_anomaly_threshold: {limit}{rules}
virtual_hosts:
- hostnames: [replayed.example]
  policy: Replayed
  retries: 1
  servers:
  - address: 127.0.0.1:{origin}
  path_bindings:
  - path: /raw
    enforcement_mode: off
"""
NO_ACCOUNTS = """
  custom_rules:
  - rule_id: 9000077
    name: No accounts
    action: block
    variables: [REQUEST_FILENAME]
    operator: begins_with
    operator_argument: /account
"""
BROWSER = {"user-agent": "Mozilla/5.0", "accept": "*/*"}
VISITS = {
    "/account?id=77123": 200, "/other": 200, "/raw/account?q=%3Cscript%3E": 200, "/?q=%3Cscript%3Ealert(1)%3C/script%3E": 403,
}  # fmt: skip


def run(panel: Panel, *words: str, stdin: str = "") -> tuple[int, str, str]:
    """In this process: one of its own imports for more than a second before it begins."""
    done = CliRunner().invoke(main, by(words), input=stdin, env=panel.environment, catch_exceptions=False)
    return done.exit_code, done.stdout, done.stderr


def run_as_process(panel: Panel, *words: str, stdin: str = "") -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "guardpanel", *by(words)],
        input=stdin, text=True, capture_output=True, env=panel.environment, cwd=ROOT, timeout=300, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def by(words: Sequence[str]) -> list[str]:
    """Other tests add administrators to the same panel."""
    is_of_someone = "export" not in words and "--as" not in words
    return [*words, *(("--as", EMAIL) if is_of_someone else ())]


def test_a_file_is_planned_and_applied_by_the_command(shared_panel: Panel, tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(SITE)

    code, output, _ = run_as_process(shared_panel, "plan", str(file), "--diff")
    assert code == 2, output
    assert output.startswith(
        "+ Added policy From a file\n+ Added virtual host file.example\n2 added.\n--- haproxy.cfg\n"
    )
    assert "\n+    server s1 127.0.0.1:9 weight 100" in output
    assert re.search(r"^--- coraza\.yaml\n\+\+\+ coraza\.yaml\n@@ (.*\n)+\+- name: p", output, re.MULTILINE)

    code, output, problem = run(shared_panel, "apply", str(file))
    assert code == 0, problem
    assert "Live in" in output
    assert httpx2.get(shared_panel.proxy, headers={"host": "file.example"}).status_code == 503

    code, output, _ = run(shared_panel, "plan", "-", stdin=SITE)
    assert (code, output) == (0, "Nothing would change: everything in the file is already live.\n")
    code, output, _ = run(shared_panel, "apply", "-", "--json", stdin=SITE)
    assert (code, json.loads(output)) == (0, {"changes": [], "deployment": None})
    assert "- name: From a file\n  enforcement_mode: block\n" in run(shared_panel, "export")[1]


@pytest.mark.parametrize("more", [["--diff"], ["--json"]])
def test_a_plan_whose_output_is_not_read_to_its_end_is_no_refusal(shared_panel: Panel, more: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as output:
        done = subprocess.run(
            [sys.executable, "-m", "guardpanel", *by(["plan", "-", *more])], input=b"policies:\n- name: Unread\n",
            stdout=output, stderr=subprocess.PIPE, env=shared_panel.environment, cwd=ROOT, timeout=300, check=False,
        )  # fmt: skip

    assert (done.returncode, done.stderr) == (2, b"")


def test_a_plan_says_which_requests_would_get_another_verdict(shared_panel: Panel, origin_port: int) -> None:
    """A path that nothing inspects keeps what it gets. An event may pass where a recorded request is blocked."""
    before = REPLAYED.format(origin=origin_port, limit=5, rules="")
    changed = REPLAYED.format(origin=origin_port, limit=100, rules=NO_ACCOUNTS)
    assert run(shared_panel, "apply", "-", stdin=before)[0] == 0
    _, output, problem = run(shared_panel, "plan", "-", "--replay", stdin=changed)
    assert "none is recorded for the virtual hosts whose WAF rules change" in output, problem

    for path, status in VISITS.items():
        sent = httpx2.get(f"{shared_panel.proxy}{path}", headers={"host": "replayed.example", **BROWSER})
        assert sent.status_code == status
    ends = time.monotonic() + 60
    while "of 3 requests (2 recorded, 1 from events)" not in output:
        output = run(shared_panel, "plan", "-", "--replay", stdin=changed)[1]
        assert time.monotonic() < ends, output

    assert "  passed → blocked: GET replayed.example/account?id=" in output
    assert "  blocked → detected: GET replayed.example/ (941100" in output
    assert output.endswith("2 of 3 requests (2 recorded, 1 from events) would get another verdict.\n")
    output = run(shared_panel, "plan", "-", "--replay", "--json", stdin=changed)[1]
    (new, _) = json.loads(output)["replay"]["requests"]
    assert (new["before"], new["after"], new["request_id"], new["rules"]) == ("passed", "blocked", None, [9000077])
    others = before.replace("retries: 1", "retries: 2")
    assert "no virtual host gets other WAF rules" in run(shared_panel, "plan", "-", "--replay", stdin=others)[1]


def test_any_name_of_a_file_will_do(shared_panel: Panel, tmp_path: Path) -> None:
    file = tmp_path / f"site (2), über & {'long' * 30}.yaml"
    file.write_text("policies: []\n")

    assert run(shared_panel, "plan", str(file))[0] == 0
    assert run(shared_panel, "apply", str(file)) == (
        0,
        "Nothing changed: everything in the file is already live.\n",
        "",
    )


def test_a_refusal_names_the_files_line(shared_panel: Panel, tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(SITE.replace("policy: From a file", "policy: From the file").replace("block", "blok"))

    for verb in ("plan", "apply"):
        code, output, problem = run(shared_panel, verb, str(file))

        assert (code, output) == (1, "")
        assert f"{file}:3: policies.0.enforcement_mode: Choose one of" in problem
        assert f"{file}:7: virtual_hosts.0.policy: Policy From the file not found." in problem


def test_a_command_says_who_and_where(shared_panel: Panel) -> None:
    code, _, problem = run(shared_panel, "plan", "-", "--as", "nobody@example.org", stdin=SITE)
    assert (code, problem) == (1, "Administrator nobody@example.org not found.\n")

    elsewhere = Panel(shared_panel.data)
    code, _, problem = run(elsewhere, "plan", "-", "--as", EMAIL, stdin=SITE)
    assert code == 1
    assert problem.startswith(f"The panel does not respond at 127.0.0.1:{elsewhere.port} (GUARDPANEL_LISTEN).")


def test_commands_for_scripts(shared_panel: Panel) -> None:
    assert run(shared_panel, "wait-live", "--timeout", "60") == (0, "", "")
    assert run(shared_panel, "apply", "-", stdin=SITE)[0] == 0

    code, output, _ = run(shared_panel, "vhost", "list", "--json")
    assert code == 0
    assert "file.example" in [row["name"] for row in json.loads(output)]
    assert "From a file\tblock\n" in run(shared_panel, "policy", "list")[1]
    exported = run(shared_panel, "policy", "export", "From a file")[1]
    assert exported == "format: 1\n" + SITE[: SITE.index("virtual_hosts:")]
    assert run(shared_panel, "plan", "-", stdin=exported)[0] == 0
    assert run(shared_panel, "policy", "export", "None")[::2] == (1, "Policy None not found.\n")


def test_bans_by_command(shared_panel: Panel) -> None:
    code, output, problem = run(shared_panel, "ban", "add", "203.0.113.77", "--for", "1d", "--reason", "A script’s")
    assert code == 0, problem
    assert re.match(r"Banned 203\.0\.113\.77 until 2\d{3}-\d\d-\d\d \d\d:\d\d:\d\d UTC\.", output)
    assert "203.0.113.77\t" in run(shared_panel, "ban", "list")[1]

    assert run(shared_panel, "ban", "remove", "203.0.113.77")[:2] == (0, "Lifted the ban of 203.0.113.77.\n")
    assert run(shared_panel, "ban", "remove", "203.0.113.77")[::2] == (1, "203.0.113.77 is not banned.\n")
    assert run(shared_panel, "ban", "remove", "no ban?#")[2].startswith("no ban?# is not an IP address")
    code, _, problem = run(shared_panel, "ban", "add", "127.0.0.1")
    assert (code, problem) == (1, "127.0.0.1 is your own address. Use --confirm to accept this.\n")
    code, _, problem = run(shared_panel, "ban", "add", "nowhere")
    assert code == 1
    assert problem.startswith("nowhere is not an IP address")


def test_events_by_command(shared_panel: Panel) -> None:
    httpx2.get(shared_panel.proxy, headers={"host": "unknown-to-all.example"})

    lines: list[str] = []
    ends = time.monotonic() + 60
    while not lines and time.monotonic() < ends:
        lines = [
            line
            for line in run(shared_panel, "events", "tail", "-n", "500", "--json")[1].splitlines()
            if "unknown-to-all" in line
        ]

    assert json.loads(lines[0])["vhost"] == "unknown-to-all.example"


def test_events_are_followed_from_the_newest_on(shared_panel: Panel) -> None:
    for number in range(3):
        httpx2.get(shared_panel.proxy, headers={"host": f"before-{number}.example"})
    ends = time.monotonic() + 60
    while run(shared_panel, "events", "tail", "-n", "500")[1].count("before-") < 3:
        assert time.monotonic() < ends

    command = [sys.executable, "-m", "guardpanel", "events", "tail", "-n", "1", "--follow", "--as", EMAIL]
    tail = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=shared_panel.environment, cwd=ROOT)
    at_last = threading.Timer(300, tail.kill)
    at_last.start()
    lines: list[str] = []
    try:
        assert tail.stdout
        for line in tail.stdout:
            lines.append(line)
            if len(lines) == 1:
                httpx2.get(shared_panel.proxy, headers={"host": "afterwards.example"})
            if "afterwards.example" in line:
                break
    finally:
        at_last.cancel()
        tail.kill()
        tail.communicate()

    assert "afterwards.example" in lines[-1]
    assert sum("before-" in line for line in lines) <= 1, lines


def test_a_haproxy_configuration_is_imported_by_command(shared_panel: Panel, tmp_path: Path) -> None:
    file, output = tmp_path / "haproxy.cfg", tmp_path / "site.yaml"
    text = "defaults\n mode http\nfrontend web\n bind :80\n acl old hdr(host) old.example\n use_backend app if old\n"
    file.write_text(text + "backend app\n server a 127.0.0.1:9\n errorfile 503 /x\n")

    code, words, problem = run(shared_panel, "import", str(file))
    assert code == 2, problem
    assert "+ 6: use_backend app if old\n      servers of old.example\n" in words
    assert words.endswith("+ Added policy Imported\n+ Added virtual host old.example\n2 added.\n")
    assert "old.example" not in run(shared_panel, "export")[1]

    code, words, _ = run(shared_panel, "import", str(file), "--output", str(output), "--json")
    assert (code, json.loads(words)["site"]) == (0, output.read_text())

    code, words, problem = run(shared_panel, "import", str(file), "--apply")
    assert (code, "Live in" in words) == (0, True), problem
    assert "9: errorfile 503 /x" in run(shared_panel, "export")[1]
    assert run(shared_panel, "import", str(file))[0] == 0

    assert run(shared_panel, "import", "-", stdin="<html>")[::2] == (
        1,
        "-: This is not a haproxy.cfg: it has no section, such as “frontend”.\n",
    )
