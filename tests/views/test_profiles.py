"""Application profiles on a virtual host: the page, and the same as JSON."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from sqlmodel import col, select

from guardpanel.engines import RuleSet
from guardpanel.engines.waf.agent import Agent
from guardpanel.models.policies.path_condition import PathMatch
from guardpanel.models.rules.rule_exclusion import RuleExclusion, Target
from guardpanel.panel import Panel
from guardpanel.services.profiles import catalogue
from guardpanel.services.profiles.catalogue import Profile, profiles
from tests.events import a_log_line, a_rule, an_event, store
from tests.factories import a_policy, a_virtual_host
from tests.html import read
from tests.rule_set import rule_set

pytestmark = pytest.mark.anyio

PLACE = "/virtual-hosts/1/profiles"
API = "/api/v1/vhosts/1/profiles"


@pytest.fixture(autouse=True)
async def host(ada: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(_agent: Agent) -> RuleSet:
        return rule_set()

    monkeypatch.setattr(Agent, "rule_set", answer)
    assert (await ada.post("/virtual-hosts", data=a_virtual_host())).status_code == 303


async def exclusions(client: httpx2.AsyncClient) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await client.get("/api/v1/policies/1/exclusions?per_page=500")).json()["items"]
    return rows


async def test_a_profile_is_applied_in_one_save_with_one_undo(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient
) -> None:
    page = read((await ada.get(PLACE)).text)
    assert f'href="{PLACE}"' in (await ada.get("/virtual-hosts/1")).text
    assert "Apply and go live: WordPress" in {button.get("aria-label") for button in page.find("button")}

    answer = await ada.post(PLACE, data={"profile": "wordpress", "path": "/blog/"})

    assert (answer.status_code, answer.headers["location"]) == (303, PLACE)
    rows = await exclusions(ada_api)
    assert len(rows) == len(profiles()["wordpress"].exclusions)
    assert {(row["virtual_host_id"], row["owner"]) for row in rows} == {(1, "ada@example.org")}
    assert all(row["path"].startswith("/blog/") for row in rows)
    text = (await ada.get(PLACE)).text
    assert "applied, version 2, below /blog" in text
    ledger = (await ada_api.get("/api/v1/ledger")).json()["items"]
    assert {entry["source"] for entry in ledger} == {"WordPress below /blog (version 2)"}
    assert "WordPress below /blog (version 2)" in (await ada.get(f"/policies/1/exclusions/{rows[0]['id']}")).text
    changes = read((await ada.get("/changes")).text)
    assert "shop.example: applied the profile WordPress below /blog (version 2)" in changes.text
    newest = next(link["href"] for link in changes.find("a") if link["href"].startswith("/changes/"))
    assert (await ada.post(f"{newest}/undo")).status_code == 303
    assert await exclusions(ada_api) == []


async def test_a_profile_is_applied_twice_without_a_double(ada_api: httpx2.AsyncClient) -> None:
    first = await ada_api.post(API, json={"profile": "graphql"})
    again = await ada_api.post(API, json={"profile": "graphql"})

    assert (first.json()["deployment"]["status"], again.json()["deployment"]["status"]) == ("live", "unchanged")
    assert len(await exclusions(ada_api)) == len(profiles()["graphql"].exclusions)


async def test_an_update_is_offered_and_changes_nothing_by_itself(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ada_api.post(API, json={"profile": "graphql"})
    before = await exclusions(ada_api)
    old = profiles()["graphql"]
    changed = old.exclusions[0].model_copy(update={"path": "/graphql", "path_match": PathMatch.EXACT})
    new = Profile(old.key, old.name, 2, old.crs_version, old.about, old.prices, (changed, *old.exclusions[1:]))
    monkeypatch.setitem(catalogue.profiles(), "graphql", new)

    assert "adds 1 and removes 1 of its rule exclusions" in read((await ada.get(PLACE)).text).text
    assert "Update to version 2" in (await ada.get("/virtual-hosts/1")).text
    assert await exclusions(ada_api) == before
    await ada.post(PLACE, data={"profile": "graphql"})
    after = await exclusions(ada_api)
    assert [row["path"] for row in after if row not in before and row["version"] == 1] == ["/graphql"]
    assert (await ada_api.get(API)).json()[0]["applied_version"] == 2
    assert "Update to version" not in (await ada.get("/virtual-hosts/1")).text


async def test_a_profile_names_the_rule_set_with_which_it_was_verified(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Verified with OWASP CRS 4.25.0." in read((await ada.get(PLACE)).text).text
    assert {profile["crs_version"] for profile in (await ada_api.get(API)).json()} == {"4.25.0"}
    older = replace(profiles()["graphql"], crs_version="4.22.0")
    monkeypatch.setitem(catalogue.profiles(), "graphql", older)

    text = read((await ada.get(PLACE)).text).text

    assert "Verified with OWASP CRS 4.22.0. The WAF agent has 4.25.0: rules may fire" in text


async def test_an_operators_own_words_survive_an_update(ada_api: httpx2.AsyncClient) -> None:
    await ada_api.post(API, json={"profile": "graphql"})
    row = (await exclusions(ada_api))[0]
    await ada_api.patch(f"/api/v1/policies/1/exclusions/{row['id']}", json={"reason": "Ours", "owner": "Zoe"})

    await ada_api.post(API, json={"profile": "graphql"})

    kept = next(exclusion for exclusion in await exclusions(ada_api) if exclusion["id"] == row["id"])
    assert (kept["reason"], kept["owner"]) == ("Ours", "Zoe")
    assert (await ada_api.get("/api/v1/ledger?q=GraphQL")).json()["total"] == len(profiles()["graphql"].exclusions)


async def test_removing_one_leaves_what_others_made(ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient) -> None:
    own = {"rules": ["941100"], "target_name": "content", "path": "/graphql", "virtual_host_id": 1, "reason": "own"}
    await ada_api.post("/api/v1/policies/1/exclusions", json=own)
    for profile, path in (("graphql", ""), ("graphql", "/two"), ("login", "")):
        assert (await ada_api.post(API, json={"profile": profile, "path": path})).status_code == 201

    answer = await ada.post(f"{PLACE}/remove", data={"profile": "graphql", "path": ""})
    assert answer.headers["location"] == PLACE
    assert (await ada_api.delete(f"{API}/graphql", params={"path": "/two"})).status_code == 204

    assert len(await exclusions(ada_api)) == 1 + len(profiles()["login"].exclusions)
    assert (await ada_api.delete(f"{API}/graphql")).status_code == 409
    assert (await ada_api.delete(f"{API}/nothing")).status_code == 404


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"profile": "nothing"}, "Choose a profile"),
        ({"profile": "graphql", "path": "blog"}, "Start the path with /."),
        ({"profile": "graphql", "path": "/a/../b"}, "without . and .. segments"),
        ({"profile": "graphql", "path": "/a//b"}, "without empty segments"),
        ({"profile": "graphql", "path": "/%C3%A9"}, "Enter the path decoded"),
        ({"profile": "graphql", "path": "/a\u202eb"}, "invisible character"),
        ({"profile": "graphql", "path": "/" + "a" * 100}, "100 characters"),
    ],
)
async def test_what_is_wrong_is_said_and_saves_nothing(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, typed: dict[str, str], words: str
) -> None:
    answer = await ada.post(PLACE, data=typed)

    assert answer.status_code == 422
    assert words in read(answer.text).text
    assert (await ada_api.post(API, json=typed)).status_code == 422
    assert await exclusions(ada_api) == []


@pytest.mark.parametrize("prefix", ["/a'b", "/a b", "/x.y(z)", "/bücher", '/"q"', "/a|b$", "/it\\s"])
async def test_any_path_is_only_a_path(ada_api: httpx2.AsyncClient, prefix: str) -> None:
    answer = await ada_api.post(API, json={"profile": "wordpress", "path": prefix})

    assert answer.status_code == 201, answer.text
    assert (await ada_api.get(API)).json()[0]["path"] == prefix


async def test_a_virtual_host_without_a_policy_needs_none(ada: httpx2.AsyncClient) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host("open.example", policy_id=""))

    assert "no profile is needed" in (await ada.get("/virtual-hosts/2/profiles")).text
    answer = await ada.post("/virtual-hosts/2/profiles", data={"profile": "graphql"})
    assert "has no policy, so no rule inspects its requests" in answer.text


async def test_another_policy_has_its_own(ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient) -> None:
    """What a virtual host left behind in its former policy does nothing for it."""
    await ada_api.post(API, json={"profile": "graphql"})
    await ada.post("/policies", data=a_policy())
    await ada_api.patch("/api/v1/vhosts/1", json={"policy_id": 2})

    assert (await ada_api.get(API)).json()[0]["applied_version"] is None


async def test_each_exclusion_is_in_the_policies_that_its_paths_have(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient
) -> None:
    """A redirected path has none, whatever policy it would have."""
    for number, bound in enumerate(({"path": "/WP-admin"}, {"path": "/blog"}, {"path": "/wp-json/wp"}), 2):
        await ada.post("/policies", data=a_policy(f"Policy {number}"))
        redirect = {"redirect": "302", "redirect_to": "https://blog.example"} if bound["path"] == "/blog" else {}
        body = {**bound, "policy_id": number, **redirect}
        answer = await ada_api.post("/api/v1/vhosts/1/policy-bindings", json=body)
        assert answer.status_code == 201, answer.text

    assert (await ada_api.post(API, json={"profile": "wordpress"})).status_code == 201

    paths: dict[int, set[str]] = {}
    for number in (1, 2, 3, 4):
        rows = (await ada_api.get(f"/api/v1/policies/{number}/exclusions?per_page=500")).json()["items"]
        paths[number] = {row["path"] for row in rows}
    every = {fields.path for fields in profiles()["wordpress"].exclusions}
    patterns = {fields.path for fields in profiles()["wordpress"].exclusions if fields.path_match == PathMatch.PATTERN}
    admin, below = {path for path in every if path.startswith("/wp-admin/")}, {"/wp-json", "/wp-json/wp/v2/media"}
    assert paths[2] == admin | patterns
    assert paths[3] == set()
    assert paths[4] == patterns | (below & every)
    assert paths[1] == every - admin - {"/wp-json/wp/v2/media"}
    offer = (await ada_api.get(API)).json()[0]
    assert (offer["applied_version"], offer["added"], offer["removed"]) == (2, [], [])
    assert {row["policy_id"] for row in offer["applied"]} == {1, 2, 4}
    assert "In Policy 4." in read((await ada.get(PLACE)).text).text
    assert (await ada_api.delete(f"{API}/wordpress")).status_code == 204
    assert (await ada_api.get("/api/v1/ledger")).json()["total"] == 0


async def test_a_path_that_is_bound_later_gets_its_exclusions_by_an_update(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient
) -> None:
    await ada_api.post(API, json={"profile": "wordpress", "path": "/blog"})
    await ada.post("/policies", data=a_policy())
    await ada_api.post("/api/v1/vhosts/1/policy-bindings", json={"path": "/blog", "policy_id": 2})

    offer = next(offer for offer in (await ada_api.get(API)).json() if offer["path"] == "/blog")
    assert {row["policy_id"] for row in offer["added"]} == {2}
    assert {row["policy_id"] for row in offer["removed"]} == {1}
    assert len(offer["added"]) == len(offer["removed"])
    await ada_api.post(API, json={"profile": "wordpress", "path": "/blog"})

    assert await exclusions(ada_api) == []


async def test_a_viewer_sees_and_changes_nothing(vera: httpx2.AsyncClient) -> None:
    page = read((await vera.get(PLACE)).text)

    assert not [button for button in page.find("button") if "Apply" in (button.get("aria-label") or "")]
    assert (await vera.post(PLACE, data={"profile": "graphql"})).status_code == 403


async def test_attacks_in_its_fields_are_counted_as_in_the_ledger(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel
) -> None:
    await ada.post(PLACE, data={"profile": "wordpress", "path": ""})
    row = next(
        row for row in await exclusions(ada_api) if row["target"] == "argument" and row["target_name"] and row["path_match"] == "exact"
    )  # fmt: skip
    field = {"variable": "ARGS", "key": row["target_name"], "value": "x", "bytes": 1}
    event = an_event(
        time=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}", method=(row["methods"] or ["POST"])[0], uri=row["path"],
        rules=[a_rule(944240, matches=[field])],
    )  # fmt: skip
    assert "Other rules fired" not in (await ada.get(PLACE)).text
    store(panel.settings.events_database, [event], [a_log_line(event)])

    page = read((await ada.get(PLACE)).text)

    ledger = (await ada_api.get("/api/v1/ledger?flag=attack_seen")).json()
    assert f"Other rules fired in fields of {ledger['total']} of its rule exclusions" in page.text
    (link,) = [link["href"] for link in page.find("a") if "attack_seen" in link["href"]]
    entries = read((await ada.get(link)).text)
    assert len([link for link in entries.find("a") if "/exclusions/" in link["href"]]) == ledger["total"]


async def test_attacks_are_counted_whichever_version_of_a_profile_made_an_exclusion(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel
) -> None:
    """An update replaces some exclusions and keeps others, and the same profile below a path is another one."""
    events = []
    for prefix in ("", "/blog"):
        await ada.post(PLACE, data={"profile": "wordpress", "path": prefix})
    for row in await exclusions(ada_api):
        if row["target"] == "argument" and row["target_name"] and row["path_match"] == "exact":
            field = {"variable": "ARGS", "key": row["target_name"], "value": "x", "bytes": 1}
            time = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
            rules = [a_rule(944240, matches=[field])]
            events.append(an_event(time=time, method=(row["methods"] or ["POST"])[0], uri=row["path"], rules=rules))
    store(panel.settings.events_database, events, [a_log_line(event) for event in events])
    async with panel.database.write() as session:
        wanted = select(RuleExclusion).where(
            col(RuleExclusion.target) == Target.ARGUMENT, col(RuleExclusion.target_name) != ""
        )
        earlier = (await session.exec(wanted)).all()[0]
        earlier.source = earlier.source.replace(f" {profiles()['wordpress'].version}", " 9", 1)
        session.add(earlier)

    page = read((await ada.get(PLACE)).text)

    counted = [int(number) for number in re.findall(r"fired in fields of (\d+) of its", " ".join(page.text.split()))]
    links = [link["href"] for link in page.find("a") if "attack_seen" in link["href"]]
    entries = [read((await ada.get(link)).text).find("a") for link in links]
    assert len(counted) == len(links) == 2
    assert [len([link for link in page if "/exclusions/" in link["href"]]) for page in entries] == counted
