"""The search box."""

import httpx2
import pytest

from guardpanel.panel import Panel
from tests.corpus import share
from tests.events import a_log_line, an_event, store
from tests.factories import a_policy, a_virtual_host
from tests.html import read

pytestmark = pytest.mark.anyio


@pytest.fixture
async def filled(ada: httpx2.AsyncClient) -> httpx2.AsyncClient:
    await ada.post(
        "/virtual-hosts",
        data=a_virtual_host("shop.example\nwww.bücher.example", **{"servers.0.address": "10.1.2.3:3000"}),
    )
    await ada.post("/policies", data=a_policy("Strict _sure_", description="All 100% of it"))
    return ada


HITS = [("shop", "/virtual-hosts/1"), ("SHOP.EX", "/virtual-hosts/1"), ("bücher", "/virtual-hosts/1"), ("10.1.2", "/virtual-hosts/1"),
     ("proxy PROTO", "/system/traffic"), ("x-forwarded", "/system/traffic"), ("strict", "/policies/2"), ("100%", "/policies/2"), ("_sure", "/policies/2"), ("Added policy", "/changes/3"), ("2", "/changes/2"),
     ("revision 2", "/changes/2"), ("ada@example", "/changes/3"), ("rate limit", "/policies"), ("hsts", "/virtual-hosts"), ("requires login", "/virtual-hosts"),
     ("connection limit", "/system/traffic/edit#f-max_connections")]  # fmt: skip
"Where what is typed leads."


async def test_things_are_found_by_what_is_known_of_them(filled: httpx2.AsyncClient) -> None:
    for q, url in HITS:
        page = read((await filled.get("/search", params={"q": q})).text)

        assert page.find("a", href=url), q


async def test_of_many_matches_some_are_listed_with_a_way_to_all(filled: httpx2.AsyncClient) -> None:
    for number in range(21):
        await filled.post("/policies", data=a_policy(f"Many {number}"))

    page = read((await filled.get("/search?q=many")).text)

    assert page.find("a", href="/policies?q=many") and "View all (21)" in page.text
    assert page.find("a", href="/changes?q=many")


async def test_the_request_id_of_a_block_page_leads_to_the_event_and_its_fix(
    filled: httpx2.AsyncClient, panel: Panel
) -> None:
    event, other = an_event(), an_event(rules=[], verdict="detected")
    store(panel.settings.events_database, [event, other], [a_log_line(event), a_log_line(other)])

    page = read((await filled.get("/search", params={"q": f" {event['id'].upper()} "})).text)
    unfixable = read((await filled.get("/search", params={"q": other["id"]})).text)

    assert page.find("a", href=f"/events/{event['id']}")
    assert page.find("a", href=f"/events/{event['id']}/fix")
    assert unfixable.find("a", href=f"/events/{other['id']}")
    assert not unfixable.find("a", href=f"/events/{other['id']}/fix")


@pytest.mark.parametrize("q", ["%", "_", "\\", "\0", "nothing-like-that"])
@pytest.mark.changes_nothing
async def test_signs_of_a_pattern_are_only_signs(ada: httpx2.AsyncClient, q: str) -> None:
    page = read((await ada.get("/search", params={"q": q})).text)

    assert "No results" in page.text


@pytest.mark.parametrize("path", ["/policies", "/changes"])
@pytest.mark.changes_nothing
async def test_a_nul_in_a_question_lists_nothing(ada: httpx2.AsyncClient, path: str) -> None:
    page = read((await ada.get(path, params={"q": "\0"})).text)

    assert not [link for link in page.find("a") if link["href"].removeprefix(f"{path}/").isdigit()]


async def test_without_a_question_it_says_what_can_be_found(ada: httpx2.AsyncClient) -> None:
    page = read((await ada.get("/search")).text)

    assert "Enter a search term" in page.text and "client CAs" in page.text


async def test_whatever_is_typed_is_only_text(ada: httpx2.AsyncClient) -> None:
    plain = read((await ada.get("/search", params={"q": "nothing"})).text)

    for q in (text for text in share(2) if len(text) < 10_000):
        answer = await ada.get("/search", params={"q": q})
        assert answer.status_code == 200, q
        page = read(answer.text)
        assert len(page.find("script")) == len(plain.find("script")), q
        assert not page.find("img"), q
