"""Events as the agent and HAProxy write them, and a file of events made from such lines."""

import json
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from guardpanel.events import schema
from guardpanel.events.schema import EPOCH
from guardpanel.ingest import agent_line, proxy_line
from guardpanel.ingest.store import Store

NOON = datetime(2020, 11, 26, 12, tzinfo=UTC)
"Long ago: a test of the last days fails at once unless its events have times of their own, and not some days after it is written."

_numbers = count(1)


def a_request_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def a_request_id_of(moment: datetime, random: int) -> str:
    """As HAProxy makes them: a UUIDv7. `random` has 74 bits."""
    milliseconds = (moment - EPOCH) // timedelta(milliseconds=1)
    return str(uuid.UUID(int=milliseconds << 80 | 7 << 76 | random >> 62 << 64 | 2 << 62 | random & (1 << 62) - 1))


def a_rule(number: int = 942100, **others: Any) -> dict[str, Any]:
    """A rule that fired, as the agent writes it."""
    return {
        "id": number, "phase": 2, "severity": "critical", "paranoia_level": "1",
        "message": "SQL Injection Attack Detected via libinjection", "data": "Matched Data: s&1 found within ARGS:id: 1' or '1'='1",
        "tags": ["attack-sqli", "paranoia-level/1"],
        "matches": [{"variable": "ARGS", "key": "id", "value": "1' or '1'='1", "bytes": 12}], **others,
    }  # fmt: skip


BY_SCORE = a_rule(
    949110, severity="emergency", message="Inbound Anomaly Score Exceeded (Total Score: 5)", disrupts=True
)


def an_event(**others: Any) -> dict[str, Any]:
    """What the agent writes of a blocked request; each call is another one, a millisecond later: all of a process within a minute of noon."""
    number = next(_numbers)
    event = {
        "v": 1, "time": (NOON + timedelta(milliseconds=number)).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "id": a_request_id(number), "application": "p1a2b3c4d5e6f", "phase": "request", "verdict": "blocked",
        "action": "deny", "status": 403, "rule": 949110,
        "scores": {"blocking_inbound_anomaly_score": 5, "inbound_anomaly_score_threshold": 5},
        "client": "192.0.2.7", "client_port": 40000, "method": "GET", "uri": "/list?id=1%27+or+%271%27%3D%271", "version": "1.1",
        "headers": [["host", "shop.example"], ["cookie", "[masked]"]], "host": "shop.example", "body_bytes": 0,
        "rules": [a_rule(), BY_SCORE], **others,
    }  # fmt: skip
    return {name: value for name, value in event.items() if value is not None}


def an_event_of_now(**others: Any) -> dict[str, Any]:
    """For who looks at the last days alone, or deletes what is older."""
    return an_event(time=datetime.now(UTC).isoformat(timespec="microseconds"), **others)


def a_recorded_request(**others: Any) -> dict[str, Any]:
    """An ordinary request, as the agent writes it."""
    number = next(_numbers)
    return {
        "v": 1, "recorded": True,
        "time": (NOON + timedelta(milliseconds=number)).isoformat(timespec="microseconds").replace("+00:00", "Z"), "days": 7,
        "application": "p1a2b3c4d5e6f", "client_key": "0" * 32, "method": "POST", "uri": f"/login?page={number}", "version": "1.1",
        "headers": [["host", "shop.example"], ["cookie", "session=71ae"]], "host": "shop.example", "body_bytes": 9, "body": "user=bqvh",
        **others,
    }  # fmt: skip


def a_log_line(event: dict[str, Any] | None = None, **others: Any) -> dict[str, Any]:
    """What HAProxy's log says of a request; of an event's, where it is given."""
    event = event or an_event()
    moment = datetime.fromisoformat(event["time"]).timestamp()
    return {
        "time": round(moment, 3), "id": event["id"], "client": event["client"], "client_port": 40000, "host": event["host"],
        "virtual_host": "1", "method": event["method"], "path": event["uri"], "status": 403, "bytes": 2000, "milliseconds": 4,
        "server": "<NOSRV>", "server_milliseconds": -1, "ended": "PR--", "verdict": "blocked", "application": event["application"],
        "policy": "1", "checksum": "c" * 64, "over_limit": "refuse", "fail": "closed", "action": "deny", "rule": "949110",
        "limit": "-", "limit_key": "-", "strikes": "-", "user": "-", "client_certificate": "-",
        "score": "5", "rules": "942100,949110", "waf_error": "-", "waf_milliseconds": "2", "panel": "-", **others,
    }  # fmt: skip


def a_passed_line(event: dict[str, Any] | None = None, **others: Any) -> dict[str, Any]:
    """A line of HAProxy's log of which nothing is to say."""
    return a_log_line(
        event,
        **{
            "status": 200,
            "verdict": "-",
            "action": "-",
            "rule": "-",
            "score": "0",
            "rules": "-",
            "ended": "----",
            "server": "s1",
            "server_milliseconds": 3,
            **others,
        },
    )


def a_failed_line(event: dict[str, Any] | None = None, **others: Any) -> dict[str, Any]:
    """Of a request that HAProxy could not deliver: no server was up, unless others say another reason."""
    failed = {"status": 503, "ended": "SC--", "server": "<NOSRV>", "server_milliseconds": -1}
    return a_passed_line(event, **{**failed, **others})


def an_unreadable_line(**others: Any) -> dict[str, Any]:
    """Of what HAProxy could not read as a request."""
    unread = {
        "id": "-", "host": "-", "virtual_host": "-", "method": "<BADREQ>", "path": "-", "status": 400, "ended": "PR--",
        "policy": "-", "application": "-", "over_limit": "-", "fail": "-",
    }  # fmt: skip
    return a_failed_line(None, **{**unread, **others})


def as_line(event: dict[str, Any]) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode()


def store(path: Path, agent: Iterable[dict[str, Any]], proxy: Iterable[dict[str, Any]] = ()) -> None:
    """The file of events with these; added to what is there."""
    connection = schema.open_to_write(path)
    logged = [line for entry in proxy if (line := proxy_line.read(as_line(entry)))]
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        Store(connection).add([agent_line.read(as_line(event), "") for event in agent], logged)
    connection.close()
