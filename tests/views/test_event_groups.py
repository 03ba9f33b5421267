"""Groups of events, as pages and as JSON: the likely false positives first, each with its reasons and its fix."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.events import schema
from guardpanel.ingest import recorded
from guardpanel.models.rules.rule_exclusion import RuleExclusion, RuleExclusionFields
from guardpanel.panel import Panel
from guardpanel.services.fixes import fixed
from guardpanel.services.history import history
from guardpanel.services.saving import revisions
from guardpanel.services.saving.changes import Change, SaveRequest, SaveResult
from tests import events
from tests.corpus import HOSTILE
from tests.events import BY_SCORE, a_log_line, a_recorded_request, a_rule, as_line, store
from tests.factories import a_virtual_host
from tests.html import Read, read

pytestmark = pytest.mark.anyio

Client = httpx2.AsyncClient
Line = dict[str, Any]

ADA = SaveRequest("ada")


def an_event(minutes: float = 1, **others: Any) -> Line:
    return events.an_event(time=f"{datetime.now(UTC) - timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%S.%fZ}", **others)


def an_edit(at: int, minutes: float = 1) -> Line:
    """Of an editor's page: a false positive."""
    xss = a_rule(
        941100, message="XSS Attack", matches=[{"variable": "ARGS", "key": "content", "value": "<p>", "bytes": 3}]
    )
    headers = [["host", "shop.example"], ["cookie", "[masked]"]]
    return an_event(
        minutes, method="POST", uri=f"/posts/{at}", client=f"192.0.2.{at}", headers=headers, rules=[xss, BY_SCORE]
    )


@pytest.fixture
async def groups(ada: Client, panel: Panel) -> tuple[list[Line], Line]:
    """Twelve edits of as many visitors, and an attack."""
    await ada.post("/virtual-hosts", data=a_virtual_host())
    edits, attack = [an_edit(at) for at in range(1, 13)], an_event(2, uri="/list?id=%2527", client="198.51.100.1")
    store(panel.settings.events_database, [*edits, attack], [a_log_line(event) for event in (*edits, attack)])
    return edits, attack


async def page_of(client: Client, path: str, status: int = 200) -> Read:
    answer = await client.get(path)
    assert answer.status_code == status, answer.text[-3000:]
    return read(answer.text)


async def listed(client: Client, query: str = "") -> list[dict[str, Any]]:
    answer = await client.get(f"/api/v1/event-groups{query}")
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def fix(panel: Panel, group: str) -> SaveResult[None]:
    change = Change(ADA, "Fixed", "policy", 1)

    async def mutate(session: AsyncSession) -> None:
        fields = RuleExclusionFields(rules=["941100"], target_name="content", path="/posts")
        row = RuleExclusion(policy_id=1).replace(fields)
        session.add(row)
        await session.flush()
        change.added = [f"rule_exclusion:{row.id}"]
        await fixed.record(session, 1, group)

    return await panel.changes.save(change, mutate)


async def test_the_dashboard_names_likely_false_positives_until_they_are_fixed(
    ada: Client, ada_api: Client, panel: Panel, groups: tuple[list[Line], Line]
) -> None:
    (key, _) = [group["key"] for group in await listed(ada_api)]
    dashboard = await page_of(ada, "/")
    part = dashboard.find("div", **{"hx-get": "/event-groups/likely"})
    assert part and dashboard.find("a", href="/event-groups?state=open")

    likely = await page_of(ada, "/event-groups/likely")

    assert likely.find("a")[0]["href"] == f"/event-groups/{key}"
    assert "POST /posts/{number} 12 requests, 12 clients" in " ".join(likely.text.split())
    await fix(panel, key)
    assert f"/event-groups/{key}" not in (await ada.get("/event-groups/likely")).text
    assert "XSS Attack" not in (await page_of(ada, "/event-groups?state=open")).text
    assert "No open groups" in (await page_of(ada, "/event-groups?state=open&rule=941100")).text
    nothing = await page_of(ada, "/event-groups?state=fixed&path=/list")
    assert "No fixed groups" in nothing.text and nothing.find("a", href="/event-groups?path=%2Flist")


async def test_a_field_that_ordinary_requests_have_speaks_for_a_group(
    ada_api: Client, panel: Panel, groups: tuple[list[Line], Line]
) -> None:
    words = "recorded ordinary requests have the same field on this path, and passed."
    kinds = {"headers": [["content-type", "application/x-www-form-urlencoded"]]}
    posts = [a_recorded_request(uri=f"/posts/{at}?draft=1", body="title=a&content=b", **kinds) for at in range(4)]
    others = [
        a_recorded_request(uri="/posts/1", body="title=a", **kinds), a_recorded_request(uri="/pages/1", body="content=b", **kinds),
        a_recorded_request(uri="/posts/1", method="PUT", body="content=b", **kinds), a_recorded_request(uri="/posts/1", body="content=b"),
    ]  # fmt: skip

    with closing(schema.open_to_write(panel.settings.events_database)) as connection:
        recorded.add(connection, [recorded.read(as_line(request)) for request in (*posts[:2], *others)])
        assert words not in " ".join((await listed(ada_api))[0]["speaks_for"])
        recorded.add(connection, [recorded.read(as_line(request)) for request in posts[2:]])

    edits, attack = await listed(ada_api)
    assert f"4 {words}" in edits["speaks_for"]
    assert words not in " ".join(attack["speaks_for"])


async def test_values_of_json_are_fields_that_pass(panel: Panel) -> None:
    body = '{"items": [{"text": "a"}, {"text": "b"}], "n": null}'
    kinds = {"headers": [["content-type", "application/json; charset=utf-8"]]}
    requests = [
        a_recorded_request(uri="/x", body=body, **kinds),
        a_recorded_request(uri="/x", body="[" * 99_999, **kinds),
    ]
    with closing(schema.open_to_write(panel.settings.events_database)) as connection:
        recorded.add(connection, [recorded.read(as_line(request)) for request in requests])

    passing = await panel.events.fields_that_pass(["shop.example", "other.example"])

    assert passing == {("shop.example", "POST", "/x"): {"ARGS:json.items.*.text": 1, "ARGS:json.n": 1}}


async def undo_newest(panel: Panel) -> None:
    async with panel.database.read() as session:
        newest = (await revisions.page(session, limit=1)).items[0]
    await history.undo(panel.changes, ADA, newest.id or 0)


async def test_likely_false_positives_come_first_with_their_reasons(
    ada: Client, ada_api: Client, groups: tuple[list[Line], Line]
) -> None:
    page = await page_of(ada, "/event-groups")

    for words in ("XSS Attack", "POST /posts/{number}", "Looks legitimate", "2 groups", "the parameter content"):
        assert words in page.text
    first, second = await listed(ada_api)
    assert (first["path"], first["requests"], first["visitors"], first["blocked"]) == ("/posts/{number}", 12, 12, 12)
    assert (first["rules"], first["fields"], first["likelihood"]) == ([941100], ["ARGS:content"], "false_positive")
    assert "12 clients met the same rules in the same place." in first["speaks_for"]
    assert second["path"] == "/list"


@pytest.mark.parametrize(
    ("query", "paths"),
    [
        ("?rule=941100", ["/posts/{number}"]), ("?client=198.51.100.1", ["/list"]), ("?path=/list", ["/list"]),
        ("?method=POST", ["/posts/{number}"]), ("?virtual_host=99", []), ("?state=fixed", []),
        ("?per_page=1&page=2", ["/list"]),
    ],
)  # fmt: skip
async def test_groups_have_the_filters_of_events(
    ada_api: Client, groups: tuple[list[Line], Line], query: str, paths: list[str]
) -> None:
    assert [group["path"] for group in await listed(ada_api, query)] == paths


async def test_a_group_shows_its_events_its_visitors_and_the_way_to_a_fix(
    ada: Client, ada_api: Client, groups: tuple[list[Line], Line]
) -> None:
    edits, _ = groups
    (group, _) = await listed(ada_api)

    page = await page_of(ada, f"/event-groups/{group['key']}")

    hrefs = [link["href"] for link in page.find("a")]
    assert f"/events/{edits[-1]['id']}" in hrefs
    assert f"/events?group={group['key']}&time=all" in hrefs
    assert f"/events/{group['newest_request_id']}/fix" in hrefs
    for words in ("192.0.2.1", "Looks legitimate", "12 requests", "Request"):
        assert words in page.text
    assert "12 events" in (await page_of(ada, f"/events?group={group['key']}&time=all")).text
    assert f"/event-groups/{group['key']}" in [
        link["href"] for link in (await page_of(ada, f"/events/{edits[0]['id']}")).find("a")
    ]


async def test_a_fixed_group_says_by_which_revision_until_it_is_blocked_again(
    ada: Client, ada_api: Client, panel: Panel, groups: tuple[list[Line], Line]
) -> None:
    (key, _) = [group["key"] for group in await listed(ada_api)]
    saved = await fix(panel, key)

    for path in ("/event-groups", f"/event-groups/{key}", f"/events/{groups[0][0]['id']}"):
        assert f"Fixed by revision {saved.revision}" in (await page_of(ada, path)).text
    assert [group["key"] for group in await listed(ada_api, "?state=fixed")] == [key]
    assert [group["path"] for group in await listed(ada_api)] == ["/list", "/posts/{number}"]

    again = an_edit(1, minutes=-1)
    store(panel.settings.events_database, [again], [a_log_line(again)])

    assert f"Blocked again after revision {saved.revision}" in (await page_of(ada, f"/event-groups/{key}")).text
    (group,) = await listed(ada_api, "?state=open&rule=941100")
    assert (group["blocked_again"], group["fix"]["revision"]) == (True, saved.revision)


async def test_an_undo_opens_the_group_again(
    ada: Client, ada_api: Client, panel: Panel, groups: tuple[list[Line], Line]
) -> None:
    (key, _) = [group["key"] for group in await listed(ada_api)]
    saved = await fix(panel, key)

    await history.undo(panel.changes, ADA, saved.change_id)

    assert await listed(ada_api, "?state=fixed") == []
    assert "Fixed by" not in (await page_of(ada, f"/event-groups/{key}")).text


@pytest.mark.parametrize("how", ["deleted", "disabled"])
async def test_a_fix_is_over_when_its_exclusion_is_gone(
    ada: Client, ada_api: Client, panel: Panel, groups: tuple[list[Line], Line], how: str
) -> None:
    (key, _) = [group["key"] for group in await listed(ada_api)]
    saved = await fix(panel, key)
    place = "/api/v1/policies/1/exclusions/1"

    answer = await (ada_api.delete(place) if how == "deleted" else ada_api.patch(place, json={"enabled": False}))

    assert answer.is_success, answer.text
    (group,) = await listed(ada_api, "?state=open&rule=941100")
    assert (group["fix"]["revision"], group["fix"]["is_over"], group["blocked_again"]) == (saved.revision, True, False)
    for path in ("/event-groups", f"/event-groups/{key}", f"/events/{groups[0][0]['id']}"):
        assert f"The fix in revision {saved.revision} was deleted or disabled" in (await page_of(ada, path)).text

    await undo_newest(panel)
    (group,) = await listed(ada_api, "?state=fixed")
    assert (group["key"], group["fix"]["is_over"]) == (key, False)


@pytest.mark.parametrize("key", ["1-0123456789abcdef", "no-key", "1-0123456789ABCDEF", "%3Cscript%3E"])
@pytest.mark.changes_nothing
async def test_a_group_that_is_none_is_404(ada: Client, ada_api: Client, key: str) -> None:
    await page_of(ada, f"/event-groups/{key}", 404)
    assert (await ada_api.get(f"/api/v1/event-groups/{key}")).status_code == 404


async def test_what_cannot_be_meant_is_told_at_its_field(ada: Client, ada_api: Client) -> None:
    page = await page_of(ada, "/event-groups?client=nobody", 422)

    assert "Enter an IP address or CIDR range" in page.text
    assert "This is no group of events." in (await page_of(ada, "/events?group=no+key", 422)).text
    answer = await ada_api.get("/api/v1/event-groups?client=nobody")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "client")


async def test_what_a_group_itself_got_does_not_speak_for_it(ada: Client, ada_api: Client, panel: Panel) -> None:
    """Where a policy only detects, an attack is answered with 200, too: only other requests tell something."""
    alone = [an_event(at, verdict="detected", status=None) for at in (1, 2)]
    passed = {"status": 200, "verdict": "-", "ended": "----", "server": "s1", "virtual_host": "-"}
    store(panel.settings.events_database, alone, [a_log_line(event, **passed) for event in alone])
    (group,) = await listed(ada_api)
    words = "answered normally"
    assert words not in " ".join(group["speaks_for"])
    assert f"/events/{alone[0]['id']}/fix" not in (await ada.get(f"/event-groups/{group['key']}")).text

    other = an_event(3, uri="/other", verdict="detected", status=None)
    store(panel.settings.events_database, [other], [a_log_line(other, **passed)])

    assert all(words in " ".join(group["speaks_for"]) for group in await listed(ada_api))


async def test_no_groups_at_all_leads_on(ada: Client, groups: tuple[list[Line], Line]) -> None:
    page = await page_of(ada, "/event-groups?path=/nowhere")

    assert "No groups" in page.text


@pytest.mark.parametrize("sent", HOSTILE[:20])
async def test_whatever_a_request_holds_is_only_text(ada: Client, ada_api: Client, panel: Panel, sent: str) -> None:
    matches = [{"variable": "ARGS", "key": sent, "value": sent, "bytes": 3}]
    event = an_event(uri=f"/{sent}", rules=[a_rule(message=sent, matches=matches)], host=sent, headers=[["x", sent]])
    store(panel.settings.events_database, [event], [a_log_line(event)])
    plain = await page_of(ada, "/event-groups?path=/nowhere")

    page = await page_of(ada, "/event-groups")
    (group,) = await listed(ada_api)

    assert len(page.find("script")) == len(plain.find("script"))
    assert not page.find("svg", onload="alert(1)")
    await page_of(ada, f"/event-groups/{group['key']}")


async def test_nobody_sees_groups_without_a_login(nobody: Client) -> None:
    assert (await nobody.get("/event-groups")).status_code == 303
    assert (await nobody.get("/api/v1/event-groups")).status_code == 401
