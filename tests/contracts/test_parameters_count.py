"""Every query parameter of every operation counts: it changes what is answered, or is refused by its name."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from guardpanel.engines import RuleSet
from guardpanel.engines.waf.agent import Agent
from guardpanel.panel import Panel
from tests.conftest import ADA, PASSWORD
from tests.contracts.operations import DOCUMENT, there
from tests.events import a_failed_line, a_log_line, a_passed_line, a_rule, an_event, as_line, store
from tests.factories import a_vhost
from tests.rule_set import rule_set

pytestmark = pytest.mark.anyio


def parameters() -> Iterator[tuple[str, str, str]]:
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            yield from (
                (method, path, parameter["name"])
                for parameter in operation.get("parameters", ())
                if parameter["in"] == "query"
            )


EVENT = an_event(
    host="blog.example", client="2001:db8::1", method="POST", uri="/wp-login.php", rules=[a_rule(932160, severity="warning")],
    scores={"blocking_inbound_anomaly_score": 9}, verdict="detected", time="2020-11-27T00:00:00Z",
)  # fmt: skip

EVENTS_FOUND: dict[str, str] = {
    "vhost": "blog.example", "vhost_id": "2", "action": "monitor", "verdict": "detected", "policy_id": "2", "severity": "warning",
    "method": "POST", "source_ip": "2001:db8::1", "path": "/wp-", "rule_id": "932160", "min_score": "9",
    "date_from": "2020-11-26T23:00:00Z", "q": "wp-login", "kind": "delivery", "reason": "server_timeout",
}  # fmt: skip
"By parameter of the logs: what finds that event alone."


async def test_each_filter_of_the_logs_counts(ada_api: httpx2.AsyncClient, panel: Panel) -> None:
    others = [an_event(), an_event()]
    store(
        panel.settings.events_database,
        [EVENT, *others],
        [
            a_failed_line(EVENT, virtual_host="2", policy="2", ended="sH--", server="s1", rules="932160"),
            *(a_log_line(other) for other in others),
        ],
    )
    pages = {"page": ("2", []), "page_size": ("1", [EVENT["id"]]), "per_page": ("1", [EVENT["id"]])}
    before = {"date_to": ("2020-11-26T23:00:00Z", [other["id"] for other in reversed(others)])}
    for name in (name for _, path, name in parameters() if path.endswith("/logs")):
        value, expected = (pages | before).get(name) or (EVENTS_FOUND[name], [EVENT["id"]])

        answer = await ada_api.get("/api/v1/logs", params={name: value})

        assert [item["producer_event_id"] for item in answer.json()["items"]] == expected, name


RULES = "/api/v1/rules"

RULES_FOUND: dict[str, str] = {
    "page": "2", "per_page": "7", "q": "libinjection", "kind": "all", "family": "942", "paranoia_level": "3", "severity": "notice",
    "phase": "4", "tag": "attack-xss", "sort": "-points", "policy": "1", "state": "off",
}  # fmt: skip
"By parameter of the rules: what gives another list."

RULES_TOGETHER = {"policy": {"state": "off"}, "state": {"policy": "1"}}
"What a policy does is asked with both."


async def test_each_filter_of_the_rules_counts(ada_api: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(_agent: Agent) -> RuleSet:
        return rule_set()

    monkeypatch.setattr(Agent, "rule_set", answer)
    usual = [rule["id"] for rule in (await ada_api.get(RULES)).json()["items"]]
    found = {**RULES_FOUND, "cursor": (await ada_api.get(RULES)).json()["next_cursor"]}
    for name in (name for _, path, name in parameters() if path == RULES):
        filtered = await ada_api.get(RULES, params={name: found[name], **RULES_TOGETHER.get(name, {})})

        assert [rule["id"] for rule in filtered.json()["items"]] not in (usual, []), name


LEDGER = "/api/v1/ledger"

LEDGER_FOUND: dict[str, tuple[str, list[str]]] = {
    "page": ("2", []), "per_page": ("1", ["941100"]), "q": ("own reason", ["942100"]), "kind": ("rule_override", ["942200"]),
    "policy_id": ("2", []), "vhost_id": ("1", []), "flag": ("redundant", ["942200"]),
    "sort": ("-name", ["942200", "942100", "941100"]),
}  # fmt: skip
"By parameter of the ledger: a value, and what it leaves."


async def test_each_filter_of_the_ledger_counts(ada_api: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(_agent: Agent) -> RuleSet:
        return rule_set()

    monkeypatch.setattr(Agent, "rule_set", answer)
    body = {"target_name": "content", "path_match": "any"}
    for rule, reason in (("941100", ""), ("942100", "Its own reason")):
        await ada_api.post("/api/v1/policies/1/exclusions", json={**body, "rules": [rule], "reason": reason})
    await ada_api.post("/api/v1/policies/1/rules", json={"rule": "942200", "action": "disable"})
    two = (await ada_api.get(LEDGER, params={"per_page": 2})).json()
    found = {**LEDGER_FOUND, "cursor": (two["next_cursor"], ["942200"])}
    for name in (name for _, path, name in parameters() if path == LEDGER):
        value, expected = found[name]

        filtered = await ada_api.get(LEDGER, params={name: value})

        assert [entry["rules"][0] for entry in filtered.json()["items"]] == expected, name


TRAFFIC = "/api/v1/vhosts/{virtual_host_id}/traffic"  # tests/views/test_request_counts.py

COUNTS = "/api/v1/request-counts"  # there, too

BUSIEST = {f"{TRAFFIC}/paths", f"{TRAFFIC}/clients", COUNTS, f"{COUNTS}/paths", f"{COUNTS}/clients"}

ACCESS_LOG = f"{TRAFFIC}/log"

LINE = a_passed_line(method="POST", path="/login?a=b", status=302, client="198.51.100.7")

LINES_FOUND = {"status": "3xx", "verdict": "passed", "method": "POST", "path": "/login", "client": "198.51.0.0/16"}
"By parameter of the access log: what finds that line alone."


async def test_each_filter_of_the_access_log_counts(ada_api: httpx2.AsyncClient, panel: Panel) -> None:
    await ada_api.post("/api/v1/vhosts", json=a_vhost())
    panel.settings.log_dir.mkdir(parents=True, exist_ok=True)
    first, last = as_line(LINE) + b"\n", as_line(a_log_line()) + b"\n"
    panel.settings.access_log.write_bytes(first + last)
    values = {**LINES_FOUND, "before": str(len(first)), "cursor": f"before-{len(first)}"}
    sizes = {"limit", "per_page"}
    for name in (name for _, path, name in parameters() if path == ACCESS_LOG and name not in sizes):
        answer = await ada_api.get(there(ACCESS_LOG), params={name: values[name]})

        assert [item["request_id"] for item in answer.json()["items"]] == [LINE["id"]], name
    for name in sizes:
        page = (await ada_api.get(there(ACCESS_LOG), params={name: 1})).json()
        assert (len(page["items"]), page["next_cursor"]) == (1, f"before-{page['before']}"), name
    both = (await ada_api.get(there(ACCESS_LOG), params={"limit": 1, "per_page": 2})).json()
    assert len(both["items"]) == 2, "per_page counts, as everywhere"


EVENTS = "/api/v1/events"

OF_EVENTS = {
    "vhost_id": "virtual_host", "policy_id": "policy", "rule_id": "rule", "source_ip": "client", "date_from": "since",
}  # fmt: skip
"What the page calls the filters of the logs."

EVENTS_ALONE = {
    OF_EVENTS.get(name, name): value for name, value in EVENTS_FOUND.items() if name not in {"vhost", "action"}
}


async def test_each_filter_of_the_events_counts(ada_api: httpx2.AsyncClient, panel: Panel) -> None:
    old = an_event(time="2020-01-01T00:00:00Z")
    line = a_failed_line(EVENT, virtual_host="2", policy="2", ended="sH--", server="s1", rules="932160")
    store(panel.settings.events_database, [EVENT, old], [line, a_log_line(old)])
    whole = (await ada_api.get(EVENTS, params={"time": "all", "per_page": 1})).json()
    group = (await ada_api.get(f"{EVENTS}/{EVENT['id']}")).json()["group"]
    expected = {
        "per_page": ("1", [EVENT["id"]]), "cursor": (whole["next_cursor"], [old["id"]]), "group": (group, [EVENT["id"]]),
        "until": ("2020-01-02", [old["id"]]), "time": ("1h", []),
    }  # fmt: skip
    for name in (name for _, path, name in parameters() if path == EVENTS):
        value, ids = expected.get(name) or (EVENTS_ALONE[name], [EVENT["id"]])
        always = {} if name in {"since", "until", "time"} else {"time": "all"}

        answer = await ada_api.get(EVENTS, params={name: value, **always})

        assert [item["request_id"] for item in answer.json()["items"]] == ids, name


GROUPS = "/api/v1/event-groups"


async def test_each_filter_of_event_groups_counts_and_is_called_as_that_of_events(
    ada_api: httpx2.AsyncClient, panel: Panel
) -> None:
    others = [an_event(rules=[a_rule(941100)]), an_event(rules=[a_rule(920270)])]
    old = an_event(time="2020-01-01T00:00:00Z", rules=[a_rule(920280)])
    line = a_failed_line(EVENT, virtual_host="2", policy="2", ended="sH--", server="s1", rules="932160")
    store(
        panel.settings.events_database,
        [EVENT, *others, old],
        [line, *(a_log_line(other) for other in [*others, old])],
    )
    groups = (await ada_api.get(GROUPS, params={"time": "all"})).json()["items"]
    first = (await ada_api.get(GROUPS, params={"time": "all", "per_page": 3})).json()
    usual = [group["newest_request_id"] for group in first["items"]]
    key = next(group["key"] for group in groups if group["newest_request_id"] == EVENT["id"])
    last = ({EVENT["id"], old["id"], *(other["id"] for other in others)} - set(usual)).pop()
    expected = {
        "page": ("2", []), "cursor": (first["next_cursor"], [last]), "per_page": ("3", usual), "state": ("fixed", []),
        "group": (key, [EVENT["id"]]), "until": ("2020-01-02", [old["id"]]), "time": ("1h", []),
    }  # fmt: skip
    names = {name for _, path, name in parameters() if path == GROUPS}
    for name in names:
        value, left = expected.get(name) or (EVENTS_ALONE[name], [EVENT["id"]])
        always = {} if name in {"since", "until", "time"} else {"time": "all"}

        answer = await ada_api.get(GROUPS, params={name: value, **always})

        assert sorted(group["newest_request_id"] for group in answer.json()["items"]) == sorted(left), name
    assert names == {name for _, path, name in parameters() if path == EVENTS} | {"state", "page"}


STREAM = f"{EVENTS}/stream"  # what it finds: tests/api/test_streams.py


def test_the_stream_of_events_has_the_filters_of_the_events() -> None:
    of_events, of_stream = ({name for _, path, name in parameters() if path == each} for each in (EVENTS, STREAM))

    assert of_stream == of_events - {"cursor", "per_page"}


CHANGES = "/api/v1/changes"

CHANGES_FOUND: dict[str, tuple[str, list[int]]] = {
    "q": ("a.example", [2]), "row": ("policy:2", [3]), "author": ("guardpanel", [1]), "outcome": ("rejected", []),
    "cursor": ("before-3", [2, 1]), "per_page": ("1", [3]),
}  # fmt: skip
"By parameter of the changes: a value, and what it leaves."


async def test_each_filter_of_the_changes_counts(ada_api: httpx2.AsyncClient) -> None:
    await ada_api.post("/api/v1/vhosts", json=a_vhost("a.example"))
    await ada_api.post("/api/v1/policies", json={"name": "Strict"})
    for name in (name for _, path, name in parameters() if path == CHANGES):
        value, expected = CHANGES_FOUND[name]

        answer = await ada_api.get(CHANGES, params={name: value})

        assert [change["id"] for change in answer.json()["items"]] == expected, name


RATES = "/api/v1/policies/{policy_id}/visitor-rates"  # tests/views/test_visitor_rates.py
WHY = "/api/v1/access/why"  # tests/api/test_access.py

RECORDED = "/api/v1/vhosts/{virtual_host_id}/recorded"  # tests/views/test_recorded_requests.py

OWN_FILTERS = {
    RATES,
    WHY,
    RECORDED,
    "/api/v1/logs",
    EVENTS,
    STREAM,
    CHANGES,
    RULES,
    LEDGER,
    GROUPS,
    TRAFFIC,
    *BUSIEST,
    ACCESS_LOG,
}

LISTED: dict[str, Callable[[dict[str, Any]], bool]] = {
    "page": lambda page: page["page"] == 2 and not page["items"],
    "cursor": lambda problem: problem["errors"][0]["field"] == "cursor",  # Read to its end in tests/api/test_paging.py.
    "per_page": lambda page: page["per_page"] == 2,
    "q": lambda page: page["total"] == 0,
    "policy_id": lambda page: page["total"] == 0,
    "kind": lambda problem: problem["errors"][0]["field"] == "kind",
    "source": lambda problem: problem["errors"][0]["field"] == "source",
    "findings": lambda problem: problem["errors"][0]["field"] == "findings",
    "policy": lambda problem: problem["detail"] == "Policy not found.",
    "against": lambda comparison: comparison["differences"][0]["kind"] == "removed",
    "revision": lambda comparison: comparison["before"] == "Default, revision 2",
}


async def test_each_parameter_of_a_list_counts(ada_api: httpx2.AsyncClient) -> None:
    await ada_api.post("/api/v1/vhosts", json=a_vhost())
    await ada_api.post("/api/v1/address-lists", json={"name": "Theirs"})
    for path, name in [
        (path, name) for method, path, name in parameters() if method == "get" and path not in OWN_FILTERS
    ]:
        answer = await ada_api.get(there(path), params={name: {"q": "zzz", "cursor": "from-2"}.get(name, "2")})

        assert LISTED[name](answer.json()), (path, name)


async def test_a_parameter_that_is_not_known_is_refused_by_its_name(ada_api: httpx2.AsyncClient) -> None:
    await ada_api.post("/api/v1/vhosts", json=a_vhost())
    before = (await ada_api.get("/api/v1/runtime/status")).json()["revision"]
    for path, methods in DOCUMENT["paths"].items():
        for method in methods:
            body = {"email": ADA, "password": PASSWORD} if path.endswith("login") else {}
            address = re.sub(r"\{\w+\}", "1", path)

            answer = await ada_api.request(method, address, params={"serverity": "critical"}, json=body)

            refused = (answer.status_code, [error["field"] for error in answer.json()["errors"]])
            assert refused == (422, ["serverity"]), (method, path)
    assert (await ada_api.get("/api/v1/runtime/status")).json()["revision"] == before
