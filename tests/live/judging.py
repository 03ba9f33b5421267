"""The real agent alone, asked what it says of a request (`POST /v1/evaluate`) under a rendered configuration."""

import base64
import http.client
import json
import socket
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

from guardpanel.rendering import DesiredState, Rows, render
from tests.live.stack import agent_binary, wait_until
from tests.rows import FACTS

EvaluatedRequest = dict[str, Any]


class Judge:
    """`with Judge(rows) as judge: judge.score(post("/posts", text="<script>"))`"""

    def __init__(self, rows: Rows) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gpj"))
        bundle = render(DesiredState.from_rows(rows, FACTS))
        self.applications = {
            number: application.name for application in bundle.applications for number in application.policy_ids
        }
        "By policy."
        configuration = (
            bundle.files["coraza.yaml"].decode().replace(FACTS.agent_socket, str(self.folder / "agent.sock"))
        )
        (self.folder / "coraza.yaml").write_text(configuration)
        self.control = self.folder / "control.sock"

    def __enter__(self) -> Self:
        command = [agent_binary(), "-config", self.folder / "coraza.yaml", "-control", f"unix:{self.control}"]
        with (self.folder / "agent.log").open("wb") as log:
            self.process = subprocess.Popen([str(part) for part in command], stderr=log)
        wait_until(lambda: self.answers() or self.process.poll() is not None, "the agent answers")
        assert self.process.poll() is None, (self.folder / "agent.log").read_text()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(60)

    def answers(self) -> bool:
        """Its socket is there a moment before it listens."""
        with closing(socket.socket(socket.AF_UNIX)) as connection:
            return connection.connect_ex(str(self.control)) == 0

    def says(self, request: EvaluatedRequest, policy_id: int = 1) -> dict[str, Any]:
        question = {"application": self.applications[policy_id], "request": request}
        with closing(http.client.HTTPConnection("agent", timeout=60)) as connection:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(str(self.control))
            connection.request("POST", "/v1/evaluate", json.dumps(question), {"content-type": "application/json"})
            answer = connection.getresponse()
            verdict: dict[str, Any] = json.loads(answer.read())
        assert answer.status == 200, verdict
        return verdict

    def fired(self, request: EvaluatedRequest, policy_id: int = 1) -> set[int]:
        """The rules that added to the score, or stopped the request."""
        return {rule["id"] for rule in self.says(request, policy_id)["rules"] if rule["counted"]} - {949110}


def a_request(method: str, uri: str, body: bytes = b"", **headers: str) -> EvaluatedRequest:
    usual = {"host": "blog.example", "user-agent": "Mozilla/5.0", "accept": "*/*"}
    lengths = {"content-length": str(len(body))} if body or method == "POST" else {}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {
        "client": "198.51.100.23", "method": method, "uri": uri, "version": "1.1",
        "headers": [[name, value] for name, value in {**usual, **lengths, **named}.items()],
        "body": base64.b64encode(body).decode(),
    }  # fmt: skip


def a_form(uri: str, fields: dict[str, str], method: str = "POST") -> EvaluatedRequest:
    return a_request(method, uri, urlencode(fields).encode(), content_type="application/x-www-form-urlencoded")


def a_json(uri: str, document: Any, method: str = "POST") -> EvaluatedRequest:
    return a_request(method, uri, json.dumps(document).encode(), content_type="application/json")
