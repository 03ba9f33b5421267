"""The WAF agent, asked over its control socket: what its rules see of a body, and whether it refuses it."""

import base64
import http.client
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from guardpanel.rendering import DesiredState, render
from tests.live.stack import agent_binary
from tests.parsers.body import Body
from tests.parsers.sockets import connected
from tests.rows import FACTS, rows

POLICY = {"enforcement_mode": "block", "body_limit_kib": 256}

RULE_SET = "Include @owasp_crs/"
LISTS_VALUES = 'SecRule ARGS|FILES|FILES_NAMES|MULTIPART_FILENAME|XML:/*|XML://@* "@unconditionalMatch" "id:1,phase:2,pass,log,t:none"\n'
"""Tells every value that a rule can look at."""


@dataclass(frozen=True)
class Judged:
    refused_by: int
    """The rule that refuses the body whatever its values are; 0: none does."""
    values: tuple[tuple[str, str, bytes], ...]
    """Variable, name and value of all that rules see."""


@contextmanager
def agent(folder: Path) -> Iterator["Agent"]:
    configuration = folder / "coraza.yaml"
    configuration.write_text(configured(folder))
    control = folder / "control.sock"
    process = subprocess.Popen(
        [agent_binary(), "-config", configuration, "-control", f"unix:{control}"],
        env={"PATH": os.environ["PATH"], "GOMAXPROCS": "1"}, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        with connected(control, process) as connection:
            yield Agent(connection)
    finally:
        process.terminate()
        process.wait(60)


def configured(folder: Path) -> str:
    """A policy's application as it is rendered, named `whole`; and without the rule set, but telling what it sees: `engine`."""
    bundle = render(DesiredState.from_rows(rows({"P": POLICY}, {}), FACTS))
    written = yaml.safe_load(bundle.files["coraza.yaml"])
    (whole,) = [
        application
        for application in written["applications"]
        if application["name"] in {made.name for made in bundle.applications}
    ]
    lines = [line for line in whole["directives"].splitlines(keepends=True) if not line.startswith(RULE_SET)]
    written["bind"] = f"unix://{folder}/agent.sock"
    written["applications"] = [
        {**whole, "name": "whole"},
        {**whole, "name": "engine", "directives": "".join(lines) + LISTS_VALUES},
    ]
    return str(yaml.safe_dump(written))


class Agent:
    def __init__(self, connection: socket.socket) -> None:
        self.connection = http.client.HTTPConnection("agent")
        self.connection.sock = connection

    def ask(self, body: Body, application: str = "engine") -> None:
        headers = [
            ("host", "shop.test"),
            ("user-agent", "Mozilla/5.0"),
            ("accept", "*/*"),
            ("content-type", body.content_type),
        ]
        headers.append(("content-length", str(len(body.content))))
        request = {
            "client": "203.0.113.7", "method": "POST", "uri": "/", "version": "1.1", "headers": headers,
            "body": base64.b64encode(body.content).decode(),
        }  # fmt: skip
        self.connection.request("POST", "/v1/evaluate", json.dumps({"application": application, "request": request}))

    def answer(self) -> Judged:
        answer = self.report()
        stopped = answer["interruption"]
        return Judged(stopped["rule_id"] if stopped else 0, tuple(values_in(answer["rules"])))

    def refuses(self, body: Body) -> bool:
        """Does the whole policy?"""
        self.ask(body, "whole")
        return bool(self.report()["verdict"] == "blocked")

    def report(self) -> dict[str, Any]:
        response = self.connection.getresponse()
        report: dict[str, Any] = json.loads(response.read())
        assert response.status == 200, report
        return report


def values_in(rules: list[dict[str, Any]]) -> Iterator[tuple[str, str, bytes]]:
    for rule in rules:
        for match in rule["matches"] if rule["id"] == 1 else ():
            text = match.get("value_base64")
            value = base64.b64decode(text) if text else match["value"].encode()
            yield match["variable"], match.get("key", ""), value
