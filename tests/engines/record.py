"""Ask the real engines what the tests of our parsers read (`make transcripts`): `transcripts/haproxy-2.8/show-stat.txt`.

A transcript is what an engine said, to the byte, but for two places: the folder that it ran in is `/data`, HAProxy's own file
`/usr/sbin/haproxy`. Numbers of processes, ports and times are those of the day it was recorded.
"""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from guardpanel import readable_yaml
from tests.haproxies import branch, candidates
from tests.live.origins import origin
from tests.live.stack import ROOT, Stack, agent_binary, wait_until
from tests.rows import rows

TRANSCRIPTS = Path(__file__).parent / "transcripts"

CHECK: dict[str, Any] = {"health_check_interval": 1, "health_check_rise": 1, "health_check_fall": 1}

FAULTS = {
    "check-unknown-algorithm": ("balance roundrobin", "balance fairest"),
    "check-unknown-option": ("    option httpchk", "    option htpchk"),
    "check-bad-server": ("127.0.0.1:1 weight 100", "127.0.0.1:1 weight 999"),
    "check-unknown-name": ("127.0.0.1:1 weight 100", "nowhere.invalid:1 weight 100"),
    "check-no-map": ("map_str(vhosts.map)", "map_str(nowhere.map)"),
    "check-warning": (
        "    balance source",
        "    balance source\n    option httpclose\n    option http-keep-alive\n    bind :1",
    ),
}
"A part of haproxy.cfg, and what stands in its place, once."

REFUSED = "SecRuleEngine Sometimes"

RULES = 30


def given(up: str) -> Any:
    servers = [
        {"address": up},
        {"address": "127.0.0.1:1"},
        {"address": "127.0.0.1:2", "enabled": False},
        {"address": "nowhere.invalid:80", "resolve_later": True},
    ]
    return rows(
        {"Standard": {"enforcement_mode": "block"}, "Watch": {}},
        {
            "shop.test": {**CHECK, "servers": servers, "policy": "Standard"},
            "plain.test": {"servers": [{"address": up}], "health_check": False, "balance": "source", "policy": "Watch"},
            "strict.test": {**CHECK, "servers": [{"address": up}], "health_check_status": "204"},
        },
    )


def recorded(haproxy: str) -> Iterator[tuple[str, str]]:
    """What this HAProxy says, by the transcript's name."""
    with origin() as server, Stack(haproxy, given(server.address)) as stack:
        for backend, name, state in (("be_1", "s1", "UP"), ("be_1", "s2", "DOWN"), ("be_3", "s1", "DOWN")):
            stack.wait_for_server(backend, name, state)
        for name, command in (
            ("show-proc", "show proc"),
            ("show-info", "@1 show info"),
            ("show-stat", "@1 show stat -1 4 -1"),
            ("show-servers-state", "@1 show servers state"),
            ("show-backend", "@1 show backend"),
            ("show-map", "@1 show map"),
            ("show-map-entries", "@1 show map hosts.map"),
            ("set-address", "@1 set server be_1/s2 addr 127.0.0.2"),
            ("set-address-again", "@1 set server be_1/s2 addr 127.0.0.2"),
            ("set-address-of-none", "@1 set server be_1/s4 addr 127.0.0.2"),
        ):
            yield name, stack.command(command)
        stack.stop_agent()
        stack.wait_for_server("waf_agent", "agent", "DOWN")
        stack.get("plain.test", "/")
        yield "show-table", stack.command("@1 show table uninspected")
        stack.start_agent()
        stack.wait_for_server("waf_agent", "agent", "UP")
        with stack.connect() as held:
            held.sendall(b"GET / HTTP/1.1\r\n")
            yield "reload", stack.command("reload")
            wait_until(lambda: old_workers(stack), "the worker before is an old one")
            yield "show-proc-old-worker", stack.command("show proc")
            configuration = stack.folder / "current" / "haproxy.cfg"
            for name, (part, instead) in FAULTS.items():
                yield name, checked(haproxy, configuration, part, instead)
            configuration.write_text(configuration.read_text().replace(*FAULTS["check-unknown-algorithm"], 1))
            yield "reload-refused", stack.command("reload")
            wait_until(lambda: "failed: 1" in answer_to(stack, "show proc"), "the reload was refused")
            yield "show-proc-refused", stack.command("show proc")


def old_workers(stack: Stack) -> bool:
    lines = answer_to(stack, "show proc").partition("# old workers\n")[2].splitlines()
    return bool(lines) and lines[0][:1].isdigit()


def answer_to(stack: Stack, command: str) -> str:
    """2.6's master refuses for a moment while it reloads."""
    try:
        return stack.command(command)
    except OSError:
        return ""


def checked(haproxy: str, configuration: Path, part: str, instead: str) -> str:
    text = configuration.read_text()
    assert part in text, part
    wrong = configuration.with_name("wrong.cfg")
    wrong.write_text(text.replace(part, instead, 1))
    output = subprocess.run(
        [haproxy, "-c", "-f", wrong], capture_output=True, text=True, check=False, cwd=configuration.parent
    )
    return (output.stdout + output.stderr).replace("/wrong.cfg", "/haproxy.cfg")


def of_the_agent(haproxy: str) -> Iterator[tuple[str, str]]:
    """What the WAF agent answers, under the newest HAProxy."""
    with origin() as server, Stack(haproxy, given(server.address)) as stack:
        stack.get("shop.test", "/?q=<script>alert(1)</script>")
        name = stack.bundle.applications[0].name
        yield "status.json", http(stack, "GET", "/v1/status")
        yield "rules.json", shortened(http(stack, "GET", f"/v1/rules?application={name}"))
        yield "reload.json", http(stack, "POST", "/v1/reload")
        document = readable_yaml.read((stack.folder / "coraza.yaml").read_text())
        document["applications"][0]["directives"] += f"\n{REFUSED}\n"
        wrong = stack.folder / "coraza.yaml"
        wrong.write_text(readable_yaml.written(document))
        output = subprocess.run(
            [agent_binary(), "-config", wrong, "-validate"], capture_output=True, text=True, check=False
        )
        yield "validate-refused.txt", output.stdout + output.stderr
        yield "reload-refused.json", http(stack, "POST", "/v1/reload")


def shortened(answer: str) -> str:
    """The first rules of some six hundred."""
    problems = json.loads(answer)
    return json.dumps({**problems, "rules": problems["rules"][:RULES]}, indent=1) + "\n"


def http(stack: Stack, method: str, target: str) -> str:
    head = f"{method} {target} HTTP/1.1\r\nhost: agent\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    return stack.send(head.encode(), path=f"{stack.folder}/control.sock").body.decode()


def keep(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, "utf-8")


def main() -> None:
    binaries = {branch(binary): binary for binary in candidates() if branch(binary)}
    for version, binary in sorted(binaries.items()):
        for name, text in recorded(binary):
            keep(TRANSCRIPTS / f"haproxy-{version}", f"{name}.txt", without_places(text))
    for name, text in of_the_agent(binaries[max(binaries)]):
        keep(TRANSCRIPTS / "guardpanel-spoa", name, without_places(text))
    subprocess.run(["git", "--no-pager", "diff", "--stat", "--", TRANSCRIPTS], check=True)


def without_places(text: str) -> str:
    text = re.sub(rf"{re.escape(tempfile.gettempdir())}/gps\w+(/releases/\d+|/current)?", "/data", text)
    return re.sub(rf"{re.escape(str(ROOT))}/\S*/haproxy\b", "/usr/sbin/haproxy", text)


if __name__ == "__main__":
    os.umask(0o022)
    main()
