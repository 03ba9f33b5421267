"""The ledger's page and its JSON: filters, order, and words."""

from typing import Any

import httpx2
import pytest

from guardpanel.engines import RuleSet
from guardpanel.engines.waf.agent import Agent
from tests.corpus import share
from tests.factories import an_exclusion
from tests.html import read
from tests.rule_set import rule_set

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def rules(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(_agent: Agent) -> RuleSet:
        return rule_set()

    monkeypatch.setattr(Agent, "rule_set", answer)


async def filled(client: httpx2.AsyncClient) -> None:
    for place, typed in (
        ("exclusions", an_exclusion(reason="Editors write HTML", owner="Zoe")),
        ("exclusions", an_exclusion(rules="942100", owner="Abel", ends_on="2999-01-01")),
        ("rules", {"rule": "942100", "action": "disable", "reason": "Search box", "owner": "Ben"}),
    ):
        answer = await client.post(f"/policies/1/{place}", data=typed)
        assert answer.status_code == 303, answer.text[-3000:]


async def names(client: httpx2.AsyncClient, query: str = "") -> list[str]:
    answer = await client.get(f"/rules/ledger{query}")
    assert answer.status_code == 200, answer.text[-2000:]
    return [link["href"] for link in read(answer.text).find("a") if "/policies/1/" in link["href"]]


async def test_an_empty_ledger_has_an_empty_state(ada: httpx2.AsyncClient) -> None:
    assert "No exclusions or overrides" in (await ada.get("/rules/ledger")).text


async def test_all_are_listed_with_what_is_to_be_said(ada: httpx2.AsyncClient) -> None:
    await filled(ada)
    page = (await ada.get("/rules/ledger")).text

    assert await names(ada) == [
        "/policies/1/exclusions/1", "/policies/1/exclusions/2", "/policies/1/rules/1",
    ]  # fmt: skip
    for words in ("Editors write HTML", "Its rule is off in this policy: 942100.", "3 entries", "2999-01-01"):
        assert words in page
    assert 'href="/rules/ledger"' in (await ada.get("/rules")).text
    assert 'href="/rules/ledger?policy=1"' in (await ada.get("/policies/1")).text


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?kind=rule_override", ["rules/1"]),
        ("?flag=redundant", ["exclusions/2"]),
        ("?q=editors", ["exclusions/1"]),
        ("?policy=2", []),
        ("?sort=owner", ["exclusions/2", "rules/1", "exclusions/1"]),
        ("?q=ben", ["rules/1"]),
        ("?sort=-ends", ["rules/1", "exclusions/1", "exclusions/2"]),
        ("?sort=nothing&kind=x&flag=x&policy=x", ["exclusions/1", "exclusions/2", "rules/1"]),
    ],
)
async def test_filters_and_orders(ada: httpx2.AsyncClient, query: str, expected: list[str]) -> None:
    await filled(ada)

    assert await names(ada, query) == [f"/policies/1/{end}" for end in expected]


async def test_json_says_the_same(ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient) -> None:
    await filled(ada)
    answer: dict[str, Any] = (await ada_api.get("/api/v1/ledger", params={"flag": "redundant"})).json()

    assert (answer["total"], answer["crs_version"]) == (1, rule_set().crs_version)
    (entry,) = answer["items"]
    assert (entry["kind"], entry["id"], entry["policy"], entry["owner"]) == ("rule_exclusion", 2, "Default", "Abel")
    assert entry["flags"] == [{"kind": "redundant", "message": "Its rule is off in this policy: 942100."}]
    assert entry["checked_with"] == rule_set().crs_version
    assert f"OWASP CRS {rule_set().crs_version}" in (await ada.get("/policies/1/exclusions/2")).text
    assert entry["sentence"].startswith("Rule 942100 doesn’t inspect the argument “content”")


async def test_any_text_is_only_text(ada: httpx2.AsyncClient) -> None:
    for text in [text for text in share(0) if len(text) <= 200]:
        answer = await ada.get("/rules/ledger", params={"q": text})

        fields = [field.get("value") or "" for field in read(answer.text).find("input") if field.get("name") == "q"]
        assert (answer.status_code, text.strip() in fields) == (200, True), text
