"""`make parsers` asks the agent over its control socket: through HAProxy it sees the same values, and refuses the same bodies."""

import base64
import http.client
import json
import re
import string
from typing import Any

import pytest

from guardpanel import readable_yaml
from guardpanel.bundle import Bundle
from guardpanel.rendering import Rows
from tests.live.origins import Origin
from tests.live.stack import Stack
from tests.live.wire import head
from tests.parsers.bodies import body
from tests.parsers.body import Body
from tests.rows import SECRET, rows

SEED, BODIES = 3, 160
NO_HEADER = re.compile(r"[\x00-\x1f\x7f]")
"""What HAProxy itself refuses in one."""

VALUE_RULES = "".join(
    f'SecRule ARGS|FILES|XML:/*|XML://@* "@rx ^z{letter}" '
    f"\"id:{195_000 + at},phase:2,pass,t:none,msg:'a value that begins with z{letter}'\"\n"
    for at, letter in enumerate(string.ascii_lowercase)
)
"""So do the values of which the bodies are made (tests/parsers/bodies/values.py)."""


class TellingStack(Stack):
    """Its rules tell what they see."""

    def publish(self, rows: Rows) -> Bundle:
        bundle = super().publish(rows)
        file = self.folder / "coraza.yaml"
        agent = readable_yaml.read(file.read_text())
        for application in agent["applications"]:
            application["directives"] += VALUE_RULES
        file.write_text(readable_yaml.written(agent))
        return bundle

    def evaluated(self, headers: dict[str, str], sent: Body) -> dict[str, Any]:
        (application,) = set(self.applications) - {"probe"}
        request = {
            "client": "127.0.0.1", "method": "POST", "uri": "/", "version": "1.1", "headers": list(headers.items()),
            "body": base64.b64encode(sent.content).decode(),
        }  # fmt: skip
        connection = http.client.HTTPConnection("agent")
        connection.sock = self.connect(f"{self.folder}/control.sock")
        connection.request("POST", "/v1/evaluate", json.dumps({"application": application, "request": request}))
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        connection.close()
        return answer


@pytest.mark.one_haproxy
def test_a_body_is_read_alike_through_haproxy_and_when_the_agent_is_asked(haproxy: str, server: Origin) -> None:
    hosts = {"a.test": {"policy": "P", "servers": [{"address": server.address}], "health_check": False}}
    bodies = [
        made for made in (body(SEED, number) for number in range(BODIES)) if not NO_HEADER.search(made.content_type)
    ]

    with TellingStack(haproxy, rows({"P": {"enforcement_mode": "block", "body_limit_kib": 256}}, hosts)) as stack:
        both = [(made, *answers(stack, made)) for made in bodies]

    assert not [(str(made), through, judged) for made, through, judged in both if through != judged]
    assert sum(status == 200 and bool(rules) for _, (status, rules), _ in both) > BODIES / 4
    assert sum(status != 200 for _, (status, _), _ in both) > BODIES / 10


Answer = tuple[int, frozenset[str]]
"""Status, and the rules that fired."""


def answers(stack: TellingStack, sent: Body) -> tuple[Answer, Answer]:
    headers = {
        "user-agent": "Mozilla/5.0",
        "accept": "*/*",
        "content-type": sent.content_type.encode().decode("latin-1").strip(" \t"),
        "content-length": str(len(sent.content)),
    }
    through = stack.send(head("POST", "a.test", "/", {**headers, "x-gp-test": SECRET}), sent.content)
    evaluated = stack.evaluated(
        {"host": "a.test", **headers, "content-type": sent.content_type.strip(" \t"), "connection": "close"}, sent
    )
    fired = frozenset(rule for rule in through.verdict.get("rules", "").split(",") if rule)
    return (through.status, fired), (evaluated.get("status", 200), frozenset(evaluated["rule_ids"]))
