"""Each field of rule overrides, exclusions, custom rules, body readings and a policy's lists, and one of everything else that decides
about visitors (`guards.py`): what they get by it, before and after each process starts anew, and all at once.

A field belongs to the probes that would have another outcome without it. Whoever adds one adds a probe, or says where its effect is tested.
"""

import json
import os
import signal
import socket
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import httpx2
import pytest

from guardpanel.models import NOUNS
from tests.live.guards import Guarded
from tests.live.stack import wait_until
from tests.live.wire import head
from tests.panel import Panel
from tests.web import bearer

pytestmark = pytest.mark.one_haproxy

XSS, PASSWD, SQL = "<script>alert(1)</script>", "/etc/passwd", "1' union select password from users-- "
TWICE = "%2541"
"Encoded twice: 920230 adds 3 points at level 2, which count by an override alone; with 2 more they reach the threshold."
FORM, TEXT, JSON = "application/x-www-form-urlencoded", "text/plain", "application/json"

POLICY: dict[str, Any] = {
    "name": "Every field", "enforcement_mode": "block", "detection_paranoia_level": 2, "allowed_methods": ["GET", "POST", "PUT"],
    "allowed_content_types": [FORM, TEXT, JSON, "application/x-mine", "application/x-unread"],
    "content_type_readings": ["application/x-unread = none"], "allowed_charsets": ["utf-8", "koi8-r"],
    "allowed_http_versions": ["1.1"], "restricted_headers": ["x-mine"], "restricted_extensions": [".mine"],
    "skip_paths": ["/assets/"], "masked_fields": ["pin"],
}  # fmt: skip

OVERRIDES: list[dict[str, Any]] = [{"rule": "913", "action": "disable"}, {"rule": "920230", "action": "enable"}]

EXCLUSIONS: list[dict[str, Any]] = [
    {"rules": ["attack-xss"], "target": "argument", "target_name": "content", "path": "/posts", "methods": ["POST"]},
    {
        "rules": ["attack-xss"],
        "target_name": r"item_\d+",
        "name_is_pattern": True,
        "path": "/below",
        "path_match": "below",
    },
    {"rules": ["attack-xss"], "target": "header", "target_name": "referer", "path": "/header"},
    {"rules": ["attack-xss"], "target_name": "code", "path": "/if", "only_if": ["action=save"]},
    {"rules": ["attack-xss"], "target_name": "own", "path": "/own", "virtual_host_id": 1},
    {"rules": ["attack-xss"], "target_name": "off", "path": "/off", "enabled": False},
    {"rules": ["attack-xss"], "target_name": "note", "path": "/ends", "ends_on": "2999-12-31"},
]

BLOCKS = {"action": "block", "status": 403}
CUSTOM_RULES: list[dict[str, Any]] = [
    {"rule_id": 9000001, "name": "Needle", "variables": "ARGS:needle", "operator": "contains", "operator_argument": "hay",
     "transformations": ["lowercase"], "action": "block", "status": 400, "severity": "warning", "tags": ["attack-generic"]},
    {"rule_id": 9000002, "name": "Not", "variables": "ARGS:only", "operator": "streq", "operator_argument": "yes", "negated": True,
     **BLOCKS},
    {"rule_id": 9000003, "name": "Early", "variables": "ARGS:early", "operator": "streq", "operator_argument": "x",
     "phase": "request_headers", **BLOCKS},
    {"rule_id": 9000004, "name": "Few", "variables": "ARGS:points", "operator": "streq", "operator_argument": "few", "action": "score", "points": 2},
    {"rule_id": 9000005, "name": "Many", "variables": "ARGS:points", "operator": "streq", "operator_argument": "many", "action": "score", "points": 9},
    {"rule_id": 9000006, "name": "Off", "variables": "ARGS:off", "operator": "streq", "operator_argument": "x", "is_active": False, **BLOCKS},
    {"seclang": "SecRule ARGS:a \"@streq x\" \"id:9000007,phase:2,deny,status:403,msg:'Both',chain\"\n  SecRule ARGS:b \"@streq y\""},
]  # fmt: skip

READINGS: list[dict[str, Any]] = [
    {"path_match": "below", "path": "/raw", "methods": ["POST"], "content_types": [TEXT], "read_as": "none"},
]


PLACES = {"rules": OVERRIDES, "exclusions": EXCLUSIONS, "custom-rules": CUSTOM_RULES, "body-readings": READINGS}


class Probe(NamedTuple):
    fields: str
    "That decide its outcome, by noun."
    status: int
    method: str
    target: str
    body: str = ""
    content_type: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    host: str = "one.example"
    version: str = "1.1"


def form(
    fields: str, status: int, target: str, method: str = "POST", host: str = "one.example", **values: str
) -> Probe:
    return Probe(fields, status, method, target, urlencode(values), FORM, host=host)


def get(fields: str, status: int, target: str, *headers: tuple[str, str], version: str = "1.1") -> Probe:
    return Probe(fields, status, "GET", target, headers=headers, version=version)


PROBES = [
    get("rule_override: rule action", 200, "/", ("user-agent", "nikto")),
    get("rule_override: rule action", 403, f"/?q={quote(PASSWD)}"),
    get("rule_override: rule action", 200, f"/?q={TWICE}"),
    get("rule_override: action", 403, f"/?q={TWICE}&points=few"),
    form("rule_exclusion: rules target target_name path methods", 200, "/posts", content=XSS),
    form("rule_exclusion: rules", 403, "/posts", content=PASSWD),
    form("rule_exclusion: target_name", 403, "/posts", title=XSS),
    form("rule_exclusion: path path_match", 403, "/posts/1", content=XSS),
    form("rule_exclusion: methods", 403, "/posts", "PUT", content=XSS),
    form("rule_exclusion: path_match name_is_pattern", 200, "/below/a", item_12=XSS),
    form("rule_exclusion: name_is_pattern", 403, "/below/a", item_x=XSS),
    get("rule_exclusion: target", 200, "/header", ("referer", XSS)),
    get("rule_exclusion: target", 403, f"/header?referer={quote(XSS)}"),
    form("rule_exclusion: only_if", 200, "/if", code=XSS, action="save"),
    form("rule_exclusion: only_if", 403, "/if", code=XSS, action="show"),
    form("rule_exclusion: virtual_host_id", 200, "/own", own=XSS),
    form("rule_exclusion: virtual_host_id", 403, "/own", host="two.example", own=XSS),
    form("rule_exclusion: enabled", 403, "/off", off=XSS),
    get("custom_rule: variables operator operator_argument transformations action status", 400, "/?needle=aHAYb"),
    get("custom_rule: variables", 200, "/?other=aHAYb"),
    get("custom_rule: operator_argument", 200, "/?needle=straw"),
    get("custom_rule: negated operator", 403, "/?only=yesyes"),
    get("custom_rule: negated", 200, "/?only=yes"),
    get("custom_rule: phase", 403, "/?early=x"),
    form("custom_rule: phase", 200, "/", early="x"),
    get("custom_rule: action points", 200, "/?points=few"),
    get("custom_rule: action points", 403, "/?points=many"),
    get("custom_rule: enabled", 200, "/?off=x"),
    get("custom_rule: seclang", 403, "/?a=x&b=y"),
    get("custom_rule: seclang", 200, "/?a=x&b=z"),
    Probe("body_reading: path_match path methods content_types read_as", 200, "POST", "/raw/a", SQL, TEXT),
    Probe("body_reading: path", 403, "POST", "/rawer", SQL, TEXT),
    Probe("body_reading: methods", 403, "PUT", "/raw/a", SQL, TEXT),
    Probe("body_reading: content_types", 403, "POST", "/raw/a", json.dumps({"a": SQL}), JSON),
    Probe("policy: allowed_methods", 200, "PUT", "/", "a=b", FORM),
    Probe("policy: allowed_methods", 403, "DELETE", "/"),
    Probe("policy: allowed_content_types", 200, "POST", "/", "a", "application/x-mine"),
    Probe("policy: allowed_content_types", 403, "POST", "/", "a", "application/x-other"),
    Probe("policy: content_type_readings", 403, "POST", "/", SQL, "application/x-mine"),
    Probe("policy: content_type_readings", 200, "POST", "/", SQL, "application/x-unread"),
    Probe("policy: allowed_charsets", 200, "POST", "/", "a", f"{TEXT}; charset=koi8-r"),
    Probe("policy: allowed_charsets", 403, "POST", "/", "a", f"{TEXT}; charset=iso-8859-1"),
    get("policy: allowed_http_versions", 403, "/", version="1.0"),
    get("policy: restricted_headers", 403, "/", ("x-mine", "1")),
    get("policy: restricted_headers", 200, "/", ("x-http-method-override", "PUT")),
    get("policy: restricted_extensions", 403, "/a.mine"),
    get("policy: restricted_extensions", 200, "/a.bak"),
    get("policy: skip_paths", 200, "/assets/a", ("user-agent", XSS)),
    get("policy: skip_paths", 403, "/a", ("user-agent", XSS)),
]

ENDING = form("rule_exclusion: ends_on", 200, "/ends", note=XSS)
"Until the day after its last."

IN_HAPROXY = {"policy": {"countries", "asns", "login_paths", "login_statuses", "error_statuses"}}
"What is not the WAF’s: test_geo.py, test_strikes.py."

IN_EVENTS = {"custom_rule": {"rule_id", "name", "severity", "tags"}, "policy": {"masked_fields"}}
"What the event of a request shows."

NOTES = {
    "rule_override": {"reason", "owner"}, "rule_exclusion": {"reason", "owner"}, "custom_rule": {"comment"}, "body_reading": {"reason"},
}  # fmt: skip
"For people: engines get none of them."


def probed(noun: str) -> set[str]:
    named = (probe.fields.split(": ") for probe in (*PROBES, ENDING))
    return {field for of, fields in named if of == noun for field in fields.split()}


@pytest.mark.parametrize("noun", ["rule_override", "rule_exclusion", "custom_rule", "body_reading", "policy"])
def test_each_field_has_a_probe(noun: str) -> None:
    fields = NOUNS[noun].fields.model_fields
    wanted = {
        name
        for name, field in fields.items()
        if noun != "policy" or isinstance(field.get_default(call_default_factory=True), list)
    }

    assert probed(noun) | IN_EVENTS.get(noun, set()) | IN_HAPROXY.get(noun, set()) | NOTES.get(noun, set()) == wanted


class Site:
    """A panel with two virtual hosts of one policy, and all rows of above in it."""

    def __init__(self, panel: Panel, port: int, feeds: Path) -> None:
        self.panel = panel
        self.guarded = Guarded(panel, port, feeds)
        with bearer(panel) as api:
            servers = [{"address": f"127.0.0.1:{port}"}]
            policy = created(api, "/policies", POLICY)
            first, _ = (
                created(api, "/vhosts", {"hostnames": [name], "policy_id": policy, "servers": servers})
                for name in ("one.example", "two.example")
            )
            for place, bodies in PLACES.items():
                for body in bodies:
                    its = {"virtual_host_id": first} if "virtual_host_id" in body else {}
                    created(api, f"/policies/{policy}/{place}", body | its)

    def status(self, probe: Probe) -> int:
        headers = {"user-agent": "Mozilla/5.0", "accept": "*/*", **dict(probe.headers)}
        if probe.content_type:
            headers |= {"content-type": probe.content_type, "content-length": str(len(probe.body))}
        sent = head(probe.method, probe.host, probe.target, {**headers, "connection": "close"})
        with closing(socket.create_connection(("127.0.0.1", self.panel.proxy_port), timeout=60)) as connection:
            connection.sendall(sent.replace(b"HTTP/1.1", f"HTTP/{probe.version}".encode(), 1) + probe.body.encode())
            return int(connection.makefile("rb").readline().split()[1])

    def wrong(self) -> list[tuple[Probe, int]]:
        return [(probe, status) for probe in PROBES if (status := self.status(probe)) != probe.status]

    def event(self, path: str) -> dict[str, Any]:
        """Of a request that the first custom rule blocks, and that has a masked field."""
        assert self.status(get("", 400, f"{path}?needle=hay&pin=8642")) == 400
        with bearer(self.panel) as api:

            def items() -> list[dict[str, Any]]:
                events: list[dict[str, Any]] = api.get("/logs", params={"path": path}).json()["items"]
                return [item for item in events if "agent" in (item["raw_context"] or {})]

            wait_until(items, "the event is recorded")
            agent: dict[str, Any] = items()[0]["raw_context"]["agent"]
        return agent

    def restart(self, name: str) -> None:
        """Ends processes by their numbers, and waits until all serves again. `machine`: all at once, as when the power fails.
        `panel, killed`: it alone, while its engines go on."""
        if name in {"guardpanel-spoa", "haproxy"}:
            (pid,) = self._children(name)
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: self._children(name) not in ([], [pid]), f"{name} is there again")
            self.panel.wait_until_ready()
        else:
            self._end(name)
            self.panel.start()
        wait_until(self._serves, f"{name} serves again")

    def _end(self, name: str) -> None:
        if name == "panel":
            self.panel.stop()
            self._end_an_exclusion()
            return
        assert self.panel.process is not None
        below = _below(self.panel.process.pid) if name == "machine" else []
        self.panel.process.kill()
        self.panel.process.wait()
        for pid in below:
            with suppress(ProcessLookupError):  # Such as a worker that has ended with its master.
                os.kill(pid, signal.SIGKILL)

    def _end_an_exclusion(self) -> None:
        """As if its last day had been over while the panel did not run."""
        with closing(sqlite3.connect(self.panel.data / "guardpanel.db")) as database, database:
            ended = database.execute("UPDATE ruleexclusion SET ends_on = '2020-01-01' WHERE ends_on = '2999-12-31'")
            assert ended.rowcount == 1

    def _serves(self) -> bool:
        try:
            return self.status(PROBES[0]) == PROBES[0].status and self.status(PROBES[1]) == PROBES[1].status
        except (OSError, IndexError):
            return False

    def _children(self, name: str) -> list[int]:
        assert self.panel.process is not None
        return [pid for pid in _children_of(self.panel.process.pid) if name in _command(pid)]


def created(api: httpx2.Client, path: str, body: dict[str, Any]) -> int:
    answer = api.post(path, json=body)
    assert answer.status_code == 201, (body, answer.text)
    return int(answer.json()["id"])


def _children_of(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in children for child in path.read_text().split()]


def _below(pid: int) -> list[int]:
    """Children, and theirs."""
    return [each for child in _children_of(pid) for each in (child, *_below(child))]


def _command(pid: int) -> str:
    """Empty for a process that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0", 1)[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


@pytest.fixture(scope="module")
def site(shared_panel: Panel, origin_port: int) -> Site:
    return Site(shared_panel, origin_port, Path(shared_panel.environment["GUARDPANEL_FEED_FILES"]))


@pytest.mark.live
def test_all_that_counts_does_so_before_and_after_each_process_starts_anew(site: Site) -> None:
    for process in ("", "guardpanel-spoa", "haproxy", "panel", "machine", "panel, killed"):
        if process:
            site.restart(process)
        assert site.wrong() == [], f"after a restart of {process}"
        assert site.guarded.wrong() == [], f"after a restart of {process}"
        if process in {"", "guardpanel-spoa", "haproxy"}:
            assert site.status(ENDING) == ENDING.status, f"after a restart of {process}"

        event = site.event(f"/event/{process or 'first'}".replace(", ", "-"))
        rule = next(rule for rule in event["rules"] if rule["id"] == 9000001)
        assert (rule["message"], rule["severity"], "attack-generic" in rule["tags"]) == ("Needle", "warning", True)
        assert "pin=[masked]" in event["uri"]

    wait_until(lambda: site.status(ENDING) == 403, "what was excluded until its last day is inspected again")
