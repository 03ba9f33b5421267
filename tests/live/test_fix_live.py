"""From a customer's blocked request to the fix that lets it pass, through the whole panel and both engines."""

import asyncio
import json
import re
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from guardpanel.engines import http
from tests.html import read
from tests.live.processes import hanging
from tests.live.stack import wait_until
from tests.panel import Panel
from tests.web import Person, bearer

pytestmark = pytest.mark.one_haproxy

HOST = {"host": "blog.example", "user-agent": "Mozilla/5.0", "accept": "*/*"}
POST = {"title": "hi", "content": "see /etc/passwd and <script>alert(1)</script>"}
ELSEWHERE = {"title": POST["content"], "content": "hi"}


@pytest.fixture(scope="module")
def panel(shared_panel: Panel, origin_port: int) -> Panel:
    prepare(shared_panel, origin_port)
    return shared_panel


def prepare(panel: Panel, port: int) -> None:
    with bearer(panel) as api:
        recording = {"record_one_in": 1, "record_per_day": 10_000}
        policy = api.post("/policies", json={"name": "Blog", "enforcement_mode": "block", **recording}).json()
        for name in ("blog.example", "other.example"):
            host = {"hostnames": [name], "policy_id": policy["id"], "servers": [{"address": f"127.0.0.1:{port}"}]}
            answer = api.post("/vhosts", json=host)
            assert answer.status_code == 201, answer.text


def sent(panel: Panel, fields: dict[str, str], host: str = "blog.example") -> httpx2.Response:
    return httpx2.post(f"{panel.proxy}/wp-json/posts", data=fields, headers={**HOST, "host": host})


def post(panel: Panel, fields: dict[str, str], host: str = "blog.example") -> int:
    return sent(panel, fields, host).status_code


def event_of(api: httpx2.Client, fields: dict[str, str], panel: Panel) -> str:
    """Of a request that is blocked now."""
    return recorded(api, sent(panel, fields))


def recorded(api: httpx2.Client, blocked: httpx2.Response) -> str:
    """The event of the request with this answer, whose page has its ID. Requests before it may be recorded at any time."""
    assert blocked.status_code == 403
    (event,) = set(re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", blocked.text))
    wait_until(lambda: event in _whole(api), "the event is recorded")
    return str(event)


def test_the_narrowest_fix_passes_only_the_blocked_request(panel: Panel) -> None:
    with bearer(panel) as api:
        event = event_of(api, POST, panel)

        ladder = api.get(f"/events/{event}/fix").json()
        narrowest = ladder["rungs"][0]
        assert (ladder["narrowest"], narrowest["width"], narrowest["works"]) == ("field", "field", True)
        assert ladder["before"]["verdict"] == "blocked"
        assert {rung["width"] for rung in ladder["rungs"] if rung["works"]} == {
            "field", "below", "family", "request", "everywhere", "off",
        }  # fmt: skip

        assert [(each["place"], each["tried"] - each["blocked"]) for each in ladder["attacks"]][1:] == [
            ("neighbor", 0), ("path", 0),
        ]  # fmt: skip
        assert ladder["siblings"]["tried"] == ladder["siblings"]["passing"]

        details = {"reason": "Posts quote paths", "owner": "vera@example.org", "ends_on": "2099-12-31"}
        applied = api.post(f"/events/{event}/fix", json={"width": "field", "draft": narrowest["draft"], **details})
        assert applied.status_code == 200, applied.text
        proof = applied.json()["proof"]
        assert (proof["passes"], proof["tried"], proof["blocked"]) == (True, 12, 12)
        (row,) = api.get(f"/policies/{ladder['policy_id']}/exclusions").json()["items"]
        assert {name: row[name] for name in details} == details
        assert [post(panel, POST), post(panel, ELSEWHERE), post(panel, POST, "other.example")] == [200, 403, 403]

        with Person(panel) as ada:
            assert ada.post(f"/changes/{applied.json()['change_id']}/undo", {"save_key": "1" * 32}).status == 200
        assert post(panel, POST) == 403
        again = api.get(f"/events/{event}/fix").json()
        assert again["rungs"][0]["draft"] == narrowest["draft"]


def test_a_fix_that_is_another_by_now_is_not_applied(panel: Panel) -> None:
    with bearer(panel) as api:
        event = event_of(api, POST, panel)
        answer = api.post(f"/events/{event}/fix", json={"width": "field", "draft": "0" * 16})
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict"), answer.text
        assert api.post(f"/events/{event}/fix", json={"width": "setting"}).status_code == 409
        assert post(panel, POST) == 403


def test_a_method_that_the_policy_lacks_is_allowed_by_its_setting(panel: Panel) -> None:
    with bearer(panel) as api:

        def propfind() -> httpx2.Response:
            return httpx2.request("PROPFIND", f"{panel.proxy}/dav/", headers=HOST)

        event = recorded(api, propfind())
        ladder = api.get(f"/events/{event}/fix").json()
        assert ladder["narrowest"] == "setting"
        assert ladder["rungs"][0]["policy_changes"]["allowed_methods"][-1] == "PROPFIND"
        assert api.post(f"/events/{event}/fix", json={"width": "setting"}).status_code == 200
        assert propfind().status_code == 501  # the server's own answer: it passed


def test_a_rule_about_the_response_is_fixed_untried_for_its_path_alone(panel: Panel, origin_port: int) -> None:
    """The server's answer has the path in it."""

    def answer_of(path: str) -> httpx2.Response:
        return httpx2.get(f"{panel.proxy}{path}", headers={**HOST, "host": "answers.example"})

    with bearer(panel) as api, Person(panel) as ada:
        fields = {"name": "Answers", "enforcement_mode": "block", "response_inspection": True}
        policy = api.post("/policies", json=fields).json()["id"]
        servers = [{"address": f"127.0.0.1:{origin_port}"}]
        host = {"hostnames": ["answers.example"], "policy_id": policy, "servers": servers}
        assert api.post("/vhosts", json=host).status_code == 201
        event = recorded(api, answer_of("/docs/ORA-01555:"))

        text = ada.get(f"/events/{event}/fix?whole=1").text
        ladder = api.get(f"/events/{event}/fix").json()
        applied = api.post(f"/events/{event}/fix", json={"width": ladder["narrowest"]})

    assert "The event does not have the response" in text
    assert "OWASP CRS 4.25.0." in text
    assert "These rules, this path, GET only" in text
    assert "Rule 951120 fired on what the event does not have" in text
    assert [rung["width"] for rung in ladder["rungs"]] == ["field", "path_pattern", "below", "off"]
    assert (applied.status_code, ladder["narrowest"]) == (200, "field"), applied.text
    assert [answer_of("/docs/ORA-01555:").status_code, answer_of("/docs/ORA-01556:").status_code] == [200, 403]


def test_apply_on_the_page_says_what_is_live_and_undo_takes_it_back(panel: Panel) -> None:
    fields = {"title": "hi", "comment": "<script>alert(1)</script>"}
    with bearer(panel) as api, Person(panel) as ada:
        event = event_of(api, fields, panel)
        event_of(api, fields, panel)
        page = ada.get(f"/events/{event}/fix?whole=1")
        assert "1 of 1 other events of this group pass" in page.text
        assert "This request passes" in page.text
        assert "In another field, 12 of 12 attacks are still blocked" in page.text
        assert (page.values["width"], len(page.values["draft"])) == (["field"], 1)

        assert "ordinary requests" in page.text
        rung = ada.get(f"/events/{event}/fix/rung?width=family")
        assert "All rules tagged attack-xss don’t inspect the argument “comment”" in rung.text
        assert rung.values["draft"] != page.values["draft"]

        stale = ada.post(f"/events/{event}/fix", {"width": "field", "draft": "0" * 16, "reason": "typed"})
        assert (stale.status, stale.values["reason"]) == (409, ["\ntyped"])
        assert post(panel, fields) == 403

        sent: dict[str, object] = {"width": "field", "draft": page.values["draft"][0], "save_key": "2" * 32}
        applied = ada.post(f"/events/{event}/fix", sent)
        assert applied.url.endswith(f"/events/{event}")
        assert "This request passes, 12 of 12 attacks next to it are blocked" in applied.text
        assert post(panel, fields) == 200
        assert "There is nothing to fix" in ada.get(f"/events/{event}/fix?whole=1").text


def streamed(panel: Panel, path: str) -> list[dict[str, str]]:
    """The parts of a page that follow in a stream, to its end."""
    with Person(panel) as ada:
        answer = ada.client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    events = [dict(line.split(": ", 1) for line in event.splitlines()) for event in answer.text.strip().split("\n\n")]
    assert [event["event"] for event in events] == ["part"] * (len(events) - 1) + ["end"]
    return [json.loads(event["data"]) for event in events[:-1]]


def words_of(part: dict[str, str]) -> str:
    return " ".join(read(part["html"]).text.split())


def test_other_requests_of_the_host_are_tried_too(panel: Panel) -> None:
    with bearer(panel) as api:
        event = event_of(api, {"title": "hi", "reply": POST["content"]}, panel)
        part = event_of(api, {"title": "hi", "reply": "<script>alert(1)</script>"}, panel)
        host = api.get(f"/events/{event}/fix").json()["vhost_id"]
        for number in range(3):
            assert post(panel, {"title": f"Title {number}", "reply": "Fine"}) == 200
        wait_until(lambda: api.get(f"/vhosts/{host}/recorded").json()["count"] >= 3, "ordinary requests are recorded")

        ladder = api.get(f"/events/{event}/fix").json()

        others = ladder["others"]
        assert (others["newly_blocked"], ladder["untried"]) == ([], "")
        assert others["ordinary"] - others["unfaithful"] >= 3
        assert [item["request_id"] for item in others["newly_passing"]] == [part]
        assert event not in {item["request_id"] for item in others["newly_passing"]}


def test_the_page_follows_part_by_part(panel: Panel) -> None:
    with bearer(panel) as api, Person(panel) as ada:
        event = event_of(api, {"title": "hi", "part": POST["content"]}, panel)
        page = ada.get(f"/events/{event}/fix")
    parts = streamed(panel, f"/events/{event}/fix/ladder")
    findings = streamed(panel, f"/events/{event}/fix/findings?width=field")

    assert f'data-stream="/events/{event}/fix/ladder"' in page.html
    assert [part["into"] for part in parts[:4]] == ["before", "rungs", "rung", "apply"]
    assert {part["into"] for part in parts[4:-1]} == {"rungs"}
    assert words_of(parts[0]) == "Score 30 of 5 under the policy as it is now."
    assert "This field, this path, POST only" in words_of(parts[1])
    assert "checked" in parts[1]["html"]
    assert f'data-stream="/events/{event}/fix/findings?width=field"' in parts[2]["html"]
    assert "requests evaluated" in words_of(findings[0])
    assert re.search(r"In another field, (\d+) of \1 attacks are still blocked", words_of(findings[-1]))
    assert "Stop" not in words_of(findings[-1])


def test_pages_that_are_closed_leave_their_turn_to_others_and_more_than_four_wait(panel: Panel) -> None:
    with bearer(panel) as api, Person(panel) as ada:
        event = event_of(api, {"title": "hi", "closed": POST["content"]}, panel)
        for _ in range(5):
            with ada.client.stream("GET", f"/events/{event}/fix/findings?width=field") as findings:
                next(findings.iter_lines())

        with ThreadPoolExecutor(5) as pool:
            answers = list(pool.map(lambda _: api.get(f"/events/{event}/fix"), range(5)))

    assert [answer.status_code for answer in answers] == [200] * 5, [answer.text for answer in answers]
    ladders = [answer.json() for answer in answers]
    assert [(ladder["narrowest"], ladder["untried"]) for ladder in ladders] == [("field", "")] * 5


def test_an_agent_that_hangs_is_said_and_the_page_can_be_left(panel: Panel) -> None:
    with bearer(panel) as api:
        event = event_of(api, {"title": "hi", "hung": POST["content"]}, panel)
    control = panel.data / "run" / "agent-control.sock"
    status = asyncio.run(http.ask(control, "GET", "/v1/status", headers={"host": "agent"}))
    with hanging(json.loads(status.body)["pid"]):
        parts = streamed(panel, f"/events/{event}/fix/ladder")

    assert [part["into"] for part in parts] == ["ladder-state"]
    assert "No fix can be tried: agent-control.sock is not responding: no response in time." in words_of(parts[0])


def _whole(api: httpx2.Client) -> list[str]:
    """Events of which both lines have arrived, HAProxy's and the agent's."""
    items = api.get("/logs").json()["items"]
    return [item["producer_event_id"] for item in items if len(item["raw_context"] or ()) == 2]
