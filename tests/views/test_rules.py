"""The pages of rules: the list, a rule in plain words, and what they say while the agent is away."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from guardpanel.engines import RuleRole, RuleSet
from guardpanel.engines.waf.agent import Agent
from guardpanel.engines.waf.coraza_spoa import CorazaSpoa
from guardpanel.errors import EngineUnavailable
from guardpanel.panel import Panel
from guardpanel.services.rules.sentences import explain
from tests import events
from tests.corpus import CORPUS
from tests.factories import a_virtual_host
from tests.fakes import FakeEngines
from tests.html import Read, read
from tests.rule_set import rule_set

pytestmark = pytest.mark.anyio

Client = httpx2.AsyncClient

LONGEST = 1_000
"Characters of a text that is sent four times in one address."


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch) -> RuleSet:
    """What the agent answers."""
    known = rule_set()

    async def answer(_agent: Agent) -> RuleSet:
        return known

    monkeypatch.setattr(Agent, "rule_set", answer)
    return known


async def page_of(client: Client, path: str, status: int = 200) -> Read:
    answer = await client.get(path)
    assert answer.status_code == status, answer.text[-3000:]
    return read(answer.text)


def an_event(hours: float, *numbers: int) -> dict[str, object]:
    moment = datetime.now(UTC) - timedelta(hours=hours)
    return events.an_event(time=f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}", rules=[events.a_rule(number) for number in numbers])


async def test_the_list_has_pages_and_filters(ada: Client, rules: RuleSet) -> None:
    page = await page_of(ada, "/rules")
    assert "OWASP CRS 4.25.0 and Coraza 3.8.1." in page.text
    assert f"{len([rule for rule in rules.rules.values() if rule.role == RuleRole.DETECT])} rules" in page.text
    assert "/rules?offset=50" in [link["href"] for link in page.find("a") if link.get("rel") == "next"]

    chosen = await page_of(ada, "/rules?family=942&paranoia_level=1&q=libinjection")
    assert "1 rule" in chosen.text
    assert "/rules/942100" in [link["href"] for link in chosen.find("a")]
    clear = [link["href"] for link in chosen.find("a") if link.get("aria-label", "").startswith("Remove the filter")]
    assert clear == ["/rules?q=libinjection&paranoia_level=1", "/rules?q=libinjection&family=942"]
    assert "restricted by policy (…)" in (await page_of(ada, "/rules?q=920450")).text
    assert "No matching rules" in (await page_of(ada, "/rules?q=zzzz")).text


async def test_rules_are_found_by_what_a_policy_does_with_them(ada: Client, ada_api: Client, rules: RuleSet) -> None:
    """With its overrides, and exclusions of every request."""
    await ada_api.post("/api/v1/policies/1/rules", json={"rule": "942", "action": "disable"})
    everywhere = {"rules": ["941100"], "target": "request", "path_match": "any"}
    assert (await ada_api.post("/api/v1/policies/1/exclusions", json=everywhere)).status_code == 201
    off = "/rules?policy=1&state=off&paranoia_level=1"

    page = await page_of(ada, off)
    on = await page_of(ada, "/rules?policy=1&state=scores&q=942100")
    items = (await ada_api.get(f"/api/v1{off}&per_page=1000")).json()["items"]

    assert "Off: a rule override switches it off" in page.text
    assert "No matching rules" in on.text
    families = {rule["id"] // 1_000 for rule in items}
    assert 942 in families and 941100 in {rule["id"] for rule in items} and 920 not in families
    assert {row["state"] for row in (await ada_api.get("/api/v1/rules/941100")).json()["policies"]} == {"off"}
    assert "/rules?paranoia_level=1" in [
        link["href"] for link in page.find("a") if link.get("aria-label", "").startswith("Remove the filter: Policy")
    ]


@pytest.mark.parametrize(
    "query",
    ["paranoia_level=9", "phase=x", "severity=loud", "kind=none", "state=off", "policy=1&state=no", "policy=x"],
)
async def test_an_invalid_filter_is_reported(ada: Client, rules: RuleSet, query: str) -> None:
    page = await page_of(ada, f"/rules?{query}", 422)

    assert "Check your filters" in page.text
    assert "Choose" in page.text


async def test_whatever_is_typed_is_only_text(ada: Client, rules: RuleSet) -> None:
    plain = await page_of(ada, "/rules?q=nothing")
    for text in (text for text in CORPUS if len(text) < LONGEST):
        answer = await ada.get("/rules", params={"q": text, "tag": text, "sort": text, "offset": text})
        assert answer.status_code in {200, 422}, text
        page = read(answer.text)
        assert len(page.find("script")) == len(plain.find("script")), text
        assert not page.find("img"), text


async def test_every_rule_has_a_page_with_its_text_and_nothing_of_it_is_markup(ada: Client, rules: RuleSet) -> None:
    hostile = [rule for rule in rules.rules.values() if "<" in rule.seclang and rule.id % 10 == 0]
    assert len(hostile) > 20
    plain = await page_of(ada, "/rules/901200")
    for rule in hostile[:25]:
        page = await page_of(ada, f"/rules/{rule.id}")
        assert len(page.find("script")) == len(plain.find("script")), rule.id
        assert not page.find("img"), rule.id
        assert rule.seclang.splitlines()[0].strip()[:60] in page.text, rule.id
        assert explain(rule)[0].sentence in page.text


async def test_the_phrases_of_a_list_are_on_the_page_and_in_json(ada: Client, ada_api: Client, rules: RuleSet) -> None:
    page = await page_of(ada, "/rules/930120")
    (link,) = (await ada_api.get("/api/v1/rules/930120")).json()["links"]

    assert len(link["phrases"]) == link["phrase_count"] > 900
    assert "etc/passwd" in link["phrases"]
    assert f"{link['phrase_count']} phrases" in page.text
    assert " ".join(link["phrases"]) in page.text
    assert not (await page_of(ada, "/rules/942100")).find("pre")


async def test_a_cut_list_says_how_many_there_are_and_is_only_text(ada: Client, engines: FakeEngines) -> None:
    known, phrases = rule_set(), tuple(text for text in CORPUS if len(text) < LONGEST)
    rule = known.rules[930120]
    engines.agent.known_rules = replace(known, rules={930120: rule})
    plain = await page_of(ada, "/rules/930120")
    cut = replace(rule, links=(replace(rule.links[0], phrases=phrases, phrase_count=12_345),))
    engines.agent.known_rules = replace(known, rules={930120: cut})

    page = await page_of(ada, "/rules/930120")

    assert f"12,345 phrases the first {len(phrases)}" in page.text
    assert [name for name, _ in page.tags if name != "span"] == [name for name, _ in plain.tags if name != "span"]


async def test_a_rule_says_what_policies_do_and_where_it_fired(ada: Client, panel: Panel, rules: RuleSet) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host("shop.example"))
    requests = [an_event(1, 942100), an_event(50, 942100), an_event(300, 942100)]
    logged = [events.a_log_line(event, virtual_host="1") for event in requests]
    events.store(Path(panel.settings.events_database), requests, logged)

    page = await page_of(ada, "/rules/942100")
    assert "Adds 5 points to the request’s score for each value that matches." in page.text
    assert "An application that builds SQL from input" in page.text
    links = [link["href"] for link in page.find("a")]
    assert {"/events?rule=942100", "/events?rule=942100&time=7d", "/rules?tag=attack-sqli"} <= set(links)
    assert "/events?rule=942100&virtual_host=1&time=7d" in links
    assert "/policies/1" in links


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/rules/190203", "Rules 190000–199999 are guardpanel’s own"),
        ("/rules/999999", "OWASP CRS 4.25.0 has no rule with this ID."),
        ("/rules/x", "Rule not found."),
        ("/rules/9999999999999999999999", "Rule not found."),
    ],
)
async def test_a_rule_that_is_not_there_is_404(ada: Client, rules: RuleSet, path: str, words: str) -> None:
    assert words in (await page_of(ada, path, 404)).text


async def test_without_the_agent_the_pages_say_so(ada: Client, ada_api: Client) -> None:
    for path in ("/rules", "/rules/942100"):
        assert "Rules are not available" in (await page_of(ada, path)).text

    answer = await ada_api.get("/api/v1/rules")
    assert answer.status_code == 503
    assert "is not responding" in answer.json()["detail"]


async def test_the_last_rules_are_shown_while_the_agent_is_away(ada: Client, engines: FakeEngines) -> None:
    engines.agent.known_rules = rule_set()

    page = await page_of(ada, "/rules/942100")

    assert "These are the rules that it reported last." in page.text
    assert "SQL Injection Attack Detected via libinjection" in page.text


async def test_coraza_spoa_has_no_rules_to_show(ada: Client, engines: FakeEngines) -> None:
    ours = engines.agent
    engines.agent = CorazaSpoa(ours.configured, ours.control, ours.configuration, socket=ours.control)

    with pytest.raises(EngineUnavailable):
        await engines.agent.rule_set()
    assert "coraza-spoa does not report its rules." in (await page_of(ada, "/rules")).text


async def test_search_finds_a_rule_by_its_id(ada: Client, rules: RuleSet) -> None:
    page = await page_of(ada, "/search?q=942100")

    assert "/rules/942100" in [link["href"] for link in page.find("a")]


async def test_a_matched_rule_of_an_event_leads_to_its_page(ada: Client, panel: Panel) -> None:
    event = an_event(1, 942100, 190203)
    events.store(Path(panel.settings.events_database), [event], [events.a_log_line(event)])

    links = [link["href"] for link in (await page_of(ada, f"/events/{event['id']}")).find("a")]

    assert "/rules/942100" in links
    assert "/rules/190203" not in links


async def test_json_says_what_the_page_says(ada_api: Client, rules: RuleSet) -> None:
    matches = (await ada_api.get("/api/v1/rules", params={"q": "libinjection", "sort": "-level", "per_page": 2})).json()
    assert (matches["crs_version"], len(matches["items"])) == ("4.25.0", 2)
    assert matches["total"] > 2

    rule = (await ada_api.get("/api/v1/rules/942100")).json()
    assert (rule["points"], rule["paranoia_level"], rule["family_name"]) == (5, 1, "SQL injection")
    assert rule["links"][0]["sentence"] == explain(rules.rules[942100])[0].sentence
    assert [policy["state"] for policy in rule["policies"]] == ["scores"]
    assert (await ada_api.get("/api/v1/rules/999999")).status_code == 404
    assert (await ada_api.get("/api/v1/rules", params={"phase": "9"})).status_code == 422
    assert (await ada_api.get("/api/v1/rules", params={"sort": "name"})).status_code == 422
