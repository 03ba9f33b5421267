"""The page of one request with everything about it, in which whatever a stranger sent is only text."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from guardpanel.panel import Panel
from tests.events import BY_SCORE, a_failed_line, a_log_line, a_rule, an_unreadable_line, store
from tests.factories import a_virtual_host
from tests.html import read
from tests.views.test_events import XSS, an_event, hrefs, links, page_of

pytestmark = pytest.mark.anyio

Client = httpx2.AsyncClient


@pytest.fixture
def file(panel: Panel) -> Path:
    return panel.settings.events_database


async def test_an_event_shows_everything_of_its_request(ada: Client, file: Path) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host())
    event = an_event(
        method="POST", uri="/wp-json/posts?draft=1", body="title=x&password=[masked]&id=1' or '1'='1", body_bytes=900, body_cut=True,
        headers=[["host", "shop.example"], ["cookie", "[masked]"], ["user-agent", "curl/8"]],
        rules=[a_rule(data="Matched Data: ' or ' found within ARGS:id: 1' or '1'='1", disrupts=True), a_rule(942190, message="Detects MSSQL code execution", paranoia_level="2", severity="critical"), BY_SCORE],
    )  # fmt: skip
    store(file, [event], [a_log_line(event, ended="PR--", milliseconds=7)])

    page = await page_of(ada, f"/events/{event['id']}")

    for words in (
        "Blocked. Score 5 reached the threshold of 5.", "2 rules fired on the parameter id", "POST /wp-json/posts", "942100", "+5",
        "critical", "paranoia level 1", "attack-sqli", "ARGS", "1' or '1'='1", "1 more rule of a higher paranoia level", "942190",
        "cookie : masked", "user-agent : curl/8", "Body: 900 bytes, truncated.", "deny (rule 949110)",
        "p1a2b3c4d5e6f", "PR--", "7 ms", "port 40000", event["id"],
    ):  # fmt: skip
        assert words.replace(" :", ":") in page.text.replace(" :", ":"), words
    assert {"/virtual-hosts/1", "/policies/1", "/events?client=192.0.2.7", "/events?virtual_host=1"} <= set(hrefs(page))
    assert page.find("rect") and page.find("mark")
    assert "Rules 2" in page.text, "as many as fired: the one that reports the score is apart"
    assert "This rule detects nothing: it reports the score." in page.text
    assert page.text.count("blocked the request") == 1, "only the rule that decided; others add to the score"


async def test_an_event_names_the_restricted_header_not_all_that_its_rule_copied(ada: Client, file: Path) -> None:
    names = [("REQUEST_HEADERS_NAMES", "host"), ("REQUEST_HEADERS_NAMES", "x-http-method-override")]
    copied = ("TX", "header_name_920450_x-http-method-override")
    matches = [{"variable": variable, "key": key, "value": key, "bytes": 9} for variable, key in [*names, copied]]
    event = an_event(rules=[a_rule(920450, data="Restricted header detected", matches=matches), BY_SCORE])
    store(file, [event], [])

    page = await page_of(ada, f"/events/{event['id']}")

    assert "1 rule fired on the name of the header x-http-method-override" in page.text
    assert "found x-http-method-override" in page.text


async def test_an_event_says_that_its_body_was_not_inspected_because_of_its_type(ada: Client, file: Path) -> None:
    unread, read_whole = an_event(method="POST", body_bytes=9, body_unread=True), an_event(method="POST", body_bytes=9)
    store(file, [unread, read_whole], [])

    pages = [await page_of(ada, f"/events/{event['id']}") for event in (unread, read_whole)]

    assert ["The body was not inspected" in page.text for page in pages] == [True, False]


async def test_an_event_leads_to_the_change_that_decided_it(ada: Client, file: Path, panel: Panel) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host())
    async with panel.database.read() as session:
        from guardpanel.services.saving import revisions

        live = await revisions.live(session)
    assert live is not None
    event = an_event(0.01)
    store(file, [event], [a_log_line(event, checksum=live.checksum[:12])])

    page = await page_of(ada, f"/events/{event['id']}")

    assert "/changes/2" in hrefs(page)
    assert "revision 2" in page.text


async def test_what_haproxy_alone_knows_is_an_event_too(ada: Client, file: Path) -> None:
    verdicts: dict[str, tuple[str, dict[str, Any]]] = {
        "unknown_host": (
            "Rejected. No enabled virtual host matches this hostname.",
            {"virtual_host": "", "policy": ""},
        ),
        "over_limit": ("Rejected. The body exceeds the policy’s limit.", {"over_limit": "refuse"}),
        "over_limit ": ("Passed. The body exceeded the limit", {"over_limit": "pass"}),
        "slow": ("Rejected. The body did not arrive within the policy’s time.", {"status": 408}),
        "slow ": ("Passed. The body did not arrive within", {"status": 200}),
        "trailers": ("Rejected. Header fields after the body", {"status": 400}),
        "no_length": ("Rejected. The body would pass in parts", {"status": 411}),
        "unjudged": ("Rejected. The WAF gave no verdict.", {"fail": "closed", "waf_error": "2"}),
        "unjudged ": ("Passed. The WAF gave no verdict.", {"fail": "open"}),
        "limited": ("Requests at once", {"status": 429, "limit": "at_once"}),
        "limited_passed": ("Requests per period", {"status": 200, "limit": "rate"}),
    }
    for verdict, (words, fields) in verdicts.items():
        line = a_log_line(an_event(rules=[]), verdict=verdict.strip(), rules="", score="", **fields)
        store(file, [], [line])

        page = await page_of(ada, f"/events/{line['id']}")

        assert words in page.text, verdict
        assert "from HAProxy’s log only" in page.text
        assert "Policy none" not in page.text
        explained = {"/access/why?q=" + line["id"]} & set(hrefs(page))
        assert bool(explained) == verdict.startswith("limited")
    page = await page_of(ada, "/events")
    for words in (
        "Unknown host",
        "Too large, rejected",
        "Too large, passed",
        "No verdict, rejected",
        "No verdict, passed",
        "Over the limit, rejected",
        "Over the limit, passed",
    ):
        assert words in page.text


@pytest.mark.parametrize(
    ("verdict", "fields", "setting"),
    [
        ("over_limit", {"over_limit": "refuse"}, "body_limit_kib"),
        ("slow", {"status": 408}, "upload_seconds"),
        ("unjudged", {"fail": "closed"}, ""),
    ],
)
async def test_the_limit_of_bodies_that_decided_is_one_click_away(
    ada: Client, file: Path, verdict: str, fields: dict[str, Any], setting: str
) -> None:
    line = a_log_line(an_event(rules=[]), verdict=verdict, rules="", score="", policy="1", **fields)
    store(file, [], [line])

    page = await page_of(ada, f"/events/{line['id']}")

    limits = [link for link in hrefs(page) if "/edit#f-" in link]
    assert limits == ([f"/policies/1/edit#f-{setting}"] if setting else [])
    if setting:
        assert f'id="f-{setting}"' in (await ada.get("/policies/1/edit")).text


async def test_what_was_not_delivered_says_why(ada: Client, file: Path) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host())
    down, cut, attack = an_event(1), an_event(2), an_event(3, verdict="detected")
    unread = an_unreadable_line(time=datetime.now(UTC).timestamp())
    store(file, [attack], [a_failed_line(down), a_failed_line(cut, ended="CH--", status=400, server="s1"), unread,
                           a_failed_line(attack, ended="sH--", status=504, server="s1", rules="942100")])  # fmt: skip

    page = await page_of(ada, "/events?kind=delivery")

    assert len(links(page)) == 4
    for words in (
        "No server up",
        "Client disconnected",
        "Malformed request",
        "unreadable",
        "SQL Injection",
        "Not delivered",
        "Detected",
    ):
        assert words in page.text, words
    assert links(await page_of(ada, "/events?reason=client_aborted")) == [cut["id"]]
    assert links(await page_of(ada, "/events?kind=security")) == [attack["id"]]
    assert links(await page_of(ada, f"/events?q={down['id']}")) == [down["id"]]
    detail = await page_of(ada, f"/events/{down['id']}")
    for words in (
        "Not delivered. No server was up.",
        "Reason No server up",
        "Status",
        "SC--",
    ):
        assert words in detail.text, words
    assert "/events?reason=no_server" in hrefs(detail)
    both = await page_of(ada, f"/events/{attack['id']}")
    assert "Not delivered. The server did not respond in time." in both.text and "942100" in both.text
    (first, *_) = links(page)
    assert "HAProxy could not parse" in (await page_of(ada, f"/events/{first}")).text


async def test_a_virtual_host_says_how_many_requests_it_did_not_get(ada: Client, file: Path) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host())
    old, new, other = an_event(25 * 60), an_event(), an_event()
    assert "none in 24 h" in (await page_of(ada, "/virtual-hosts/1")).text
    store(file, [], [a_failed_line(old), a_failed_line(new), a_failed_line(other, virtual_host="2")])

    page = await page_of(ada, "/virtual-hosts/1")

    assert "1 in 24 h" in page.text
    assert "/events?virtual_host=1&kind=delivery" in hrefs(page)
    assert links(await page_of(ada, "/events?virtual_host=1&kind=delivery")) == [new["id"]]


async def test_a_request_that_made_no_event_says_what_that_may_mean(ada: Client, file: Path) -> None:
    for path in (
        "/events/00000000-0000-4000-8000-000000000000",
        "/events/x",
        "/events/%3Cscript%3Ealert(1)%3Cscript%3E%E2%80%AE%00%FF",
    ):
        page = await page_of(ada, path, 404)
        assert "Event not found" in page.text
        assert "30 days" in page.text
        assert "\u202e" not in page.text
        assert (await ada.get(path + "/lines")).status_code == 404


async def test_an_id_is_found_as_it_was_pasted(ada: Client, file: Path) -> None:
    event = an_event()
    store(file, [event])

    page = await page_of(ada, f"/events/%20{event['id'][:8]}%20{event['id'][8:]}%20")
    assert event["id"] in page.text
    results = await page_of(ada, f"/search?q=%20{event['id'].upper()}%20")
    assert f"/events/{event['id']}" in hrefs(results)
    assert f"/events/{event['id']}" not in hrefs(await page_of(ada, f"/search?q={event['id'][:-1]}"))


@pytest.mark.parametrize("sent", XSS, ids=[text[:30] for text in XSS])
@pytest.mark.changes_nothing
async def test_what_a_stranger_sent_is_only_text(ada: Client, file: Path, sent: str) -> None:
    clean = an_event()
    store(file, [clean])
    plain_list, plain_page = await page_of(ada, "/events"), await page_of(ada, f"/events/{clean['id']}")
    match = {"variable": sent[:60], "key": sent, "value": sent, "chain": 1, "bytes": 9}
    event = an_event(
        uri="/" + sent, method=sent[:20], host=sent, headers=[[sent, sent]], body=sent, application=sent, action=sent,
        rules=[a_rule(message=sent, data="Matched Data: " + sent + " found within ARGS", tags=[sent], matches=[match])],
    )  # fmt: skip
    logged = a_log_line(event, server=sent, ended=sent, waf_error=sent, client_certificate=sent, verdict="blocked")
    store(file, [event], [logged])

    for path, plain in (("/events", plain_list), (f"/events/{event['id']}", plain_page)):
        answer = await ada.get(path)
        assert answer.status_code == 200, answer.text[-3000:]
        page = read(answer.text)
        for tag in ("script", "meta", "textarea", "form"):
            assert len(page.find(tag)) == len(plain.find(tag)), tag
        for tag in ("img", "iframe", "object", "base"):
            assert not page.find(tag)
        assert not [tag for tag, attributes in page.tags if any(key.startswith("on") for key in attributes)]
        assert {key for _, attributes in page.tags for key in attributes if key.startswith("hx-")} <= {
            key for _, attributes in plain.tags for key in attributes if key.startswith("hx-")
        }
        assert not any(attributes.get("href", "").lower().startswith("javascript") for _, attributes in page.tags)
        unseen = {character for character in answer.text if not character.isprintable()} - {"\n", "\u2009"}
        assert not unseen, unseen


async def test_an_event_says_whose_client_certificate_it_was(ada: Client, ada_api: Client, file: Path) -> None:
    with_one, without = an_event(), an_event()
    store(file, [with_one, without], [a_log_line(with_one, client_certificate="CN=ada,O=Shop"), a_log_line(without)])

    page, other = await page_of(ada, f"/events/{with_one['id']}"), await page_of(ada, f"/events/{without['id']}")
    (item,) = (await ada_api.get("/api/v1/logs", params={"q": with_one["id"]})).json()["items"]

    assert "Client certificate CN=ada,O=Shop" in page.text
    assert "Client certificate" not in other.text
    assert item["raw_context"]["haproxy"]["client_certificate"] == "CN=ada,O=Shop"


@pytest.mark.parametrize("verdict", ["country", "network", "geo_passed"])
async def test_an_event_shows_where_its_client_is_from(ada: Client, ada_api: Client, file: Path, verdict: str) -> None:
    status = 200 if verdict == "geo_passed" else 403
    line = a_log_line(
        an_event(rules=[]), verdict=verdict, status=status, country="FR", network="--", rules="", score=""
    )
    store(file, [], [line])

    page = await page_of(ada, f"/events/{line['id']}")
    (item,) = (await ada_api.get("/api/v1/logs", params={"q": line["id"]})).json()["items"]

    assert "Country FR" in page.text
    assert "Network unknown" in page.text
    assert f"/access/why?q={line['id']}" in hrefs(page)
    logged = item["raw_context"]["haproxy"]
    assert (logged["country"], logged["network"]) == ("FR", "--")


async def test_the_lines_are_given_as_a_file(ada: Client, file: Path) -> None:
    event = an_event(uri="/\udcff<script>")
    store(file, [event], [a_log_line(event, path="/")])

    answer = await ada.get(f"/events/{event['id']}/lines")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="event.txt"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.text.count("\n") == 2 and answer.text.isascii()


async def test_many_may_ask_at_once(ada: Client, ada_api: Client, file: Path) -> None:
    """Each needs the panel's database before, while and after it looks for events; there are fewer connections than they."""
    store(file, [an_event()])
    (event,) = links(await page_of(ada, "/events"))
    paths = ["/events", f"/events/{event}", f"/events/{event}/lines", f"/search?q={event}", "/events?virtual_host=x"]

    answers = await asyncio.gather(
        *(ada.get(path) for path in paths * 8), *(ada_api.get("/api/v1/logs") for _ in range(8))
    )

    assert {answer.status_code for answer in answers} == {200, 422}
