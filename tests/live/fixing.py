"""Cases of false positives (false_positives.json) through the whole panel: sent, fixed, sent again, undone."""

import asyncio
import base64
import contextlib
import http.client
import itertools
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from guardpanel.database import Database
from guardpanel.engines.waf.evaluation import evaluate
from guardpanel.models import NOUNS
from guardpanel.rendering import Rows
from guardpanel.services.fixes.drafts import Draft, ground_of
from guardpanel.services.saving import snapshots
from tests.live.judging import EvaluatedRequest
from tests.live.stack import wait_until
from tests.live.test_false_positives import CASES, Case, evaluated
from tests.panel import Panel
from tests.rows import FACTS
from tests.web import Person

FOLDER = os.environ.get("GUARDPANEL_TEST_CASES", "")
"A folder with files of more cases, instead of ours."

IS_LONG = bool(os.environ.get("GUARDPANEL_TEST_ALL") or FOLDER)

BLOCKED = {400, 403}
"The server behind HAProxy answers neither."


def cases(some: int) -> list[Case]:
    """Ours, spread over all of them; in `make nightly` each, or those of the folder that a fix frees."""
    if FOLDER:
        every = [case for path in sorted(Path(FOLDER).glob("*.json")) for case in json.loads(path.read_text("utf-8"))]
        return [_ours(case) for case in every if case.get("fix", {}).get("kind") in {"exclusions", "setting", "both"}]
    return CASES if IS_LONG else CASES[:: -(-len(CASES) // some)]


def _ours(case: Case) -> Case:
    """Its policy in our fields, without what the fix itself is to add."""
    policy, settings = case["policy"], case["fix"].get("settings", [])
    level = policy["paranoia_level"]
    added = {str(entry) for setting in settings if "add" in setting for entry in setting["add"]}
    lists = {  # The rule set looks for a method within the list: UNLOCK allows LOCK.
        name: [entry for entry in policy[name] if not any(word in entry for word in added)]
        for name in ("allowed_methods", "allowed_content_types")
    }
    return {**case, "policy": {"blocking_paranoia_level": level, "detection_paranoia_level": level, **lists}}


_numbers = itertools.count(1)


@dataclass
class Site:
    """A virtual host for one case, with a policy of its own."""

    panel: Panel
    api: httpx2.Client
    host: str
    policy_id: int
    host_id: int

    @classmethod
    def of(cls, panel: Panel, api: httpx2.Client, port: int, case: Case) -> "Site":
        number = next(_numbers)
        name = f"case-{number}.example"
        policy = api.post("/policies", json={"name": f"Case {number}", "enforcement_mode": "block", **case["policy"]})
        assert policy.status_code == 201, policy.text
        fields = {"hostnames": [name], "policy_id": policy.json()["id"], "servers": [{"address": f"127.0.0.1:{port}"}]}
        answer = api.post("/vhosts", json=fields)
        assert answer.status_code == 201, answer.text
        return cls(panel, api, name, policy.json()["id"], answer.json()["id"])

    def question(self, request: Case, change: Case) -> EvaluatedRequest:
        """To this host."""
        made = evaluated(request, change)
        headers = [[name, self.host if name.lower() == "host" else value] for name, value in made["headers"]]
        return {**made, "headers": headers}

    def blocks(self, question: EvaluatedRequest) -> bool:
        """Whether it is blocked on its way through HAProxy."""
        body = base64.b64decode(question["body"])
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", self.panel.proxy_port, timeout=60)
        ) as connection:
            connection.putrequest(question["method"], question["uri"], skip_host=True, skip_accept_encoding=True)
            names = set()
            for name, value in question["headers"]:
                names.add(name.lower())
                connection.putheader(name, value.encode("utf-8", "surrogateescape"))
            if body and "content-length" not in names:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body or None)
            return connection.getresponse().status in BLOCKED

    def event_of(self, question: EvaluatedRequest) -> str:
        """Of a request that is blocked now."""
        assert self.blocks(question)
        wait_until(self._events, "both lines of the event are recorded")
        return self._events()[0]

    def _events(self) -> list[str]:
        """Those of which both lines have arrived, HAProxy's and the agent's."""
        items = self.api.get("/logs", params={"vhost_id": self.host_id}).json()["items"]
        return [item["producer_event_id"] for item in items if len(item["raw_context"] or ()) == 2]

    def ladder(self, event: str) -> dict[str, Any]:
        answer = self.api.get(f"/events/{event}/fix", params={"findings": False})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def evaluated(self, rung: dict[str, Any], questions: Sequence[EvaluatedRequest]) -> list[bool]:
        """Whether the agent blocks them under the draft of a rung, before it is saved."""
        rows = tuple((row["noun"], NOUNS[row["noun"]].fields.model_validate(row["fields"])) for row in rung["rows"])
        ground = ground_of(asyncio.run(_rows(self.panel)), FACTS, self.policy_id, self.host_id)
        directives = ground.directives(Draft(rung["policy_changes"], rows))
        control = self.panel.data / "run" / "agent-control.sock"

        async def each() -> list[bool]:
            return [not (await evaluate(control, directives, _as_seen(question))).passes for question in questions]

        return asyncio.run(each())

    def undo(self, change_id: int) -> None:
        with Person(self.panel) as ada:
            assert ada.post(f"/changes/{change_id}/undo", {"save_key": f"{next(_numbers):032x}"}).status == 200


def _as_seen(question: EvaluatedRequest) -> EvaluatedRequest:
    """Without what HAProxy answers itself and removes."""
    return {**question, "headers": [[name, value] for name, value in question["headers"] if name.lower() != "expect"]}


async def _rows(panel: Panel) -> Rows:
    database = Database(f"sqlite+aiosqlite:///{panel.data / 'guardpanel.db'}")
    try:
        async with database.read() as session:
            return snapshots.rows(await snapshots.take(session))
    finally:
        await database.close()
