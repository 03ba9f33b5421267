"""What saving a form would change, beside the form of every noun."""

from typing import Any

import httpx2
import pytest

from guardpanel.models import NOUNS
from tests.factories import (
    a_body_reading,
    a_custom_rule,
    a_header_rule,
    a_path_binding,
    a_policy,
    a_virtual_host,
    an_exclusion,
    an_override,
)
from tests.html import read

pytestmark = pytest.mark.anyio

PART = {"hx-request-type": "partial"}

DRAFTS: dict[str, tuple[dict[str, Any], dict[str, str], tuple[str, ...]]] = {
    "policy": ({}, {"inbound_anomaly_threshold": "77"}, ("Inbound anomaly threshold", "77")),
    "rule_exclusion": (
        an_exclusion(),
        {"reason": "Editors write HTML", "path": "/other"},
        ("Editors write HTML", "/other"),
    ),
    "rule_override": (an_override(), {"reason": "Too many"}, ("Reason", "Too many")),
    "custom_rule": (a_custom_rule(), {"comment": "Only bots"}, ("Only bots",)),
    "body_reading": (a_body_reading(), {"path": "/other"}, ("Path", "/other")),
    "path_binding": (a_path_binding(), {"path": "/other"}, ("Path", "/other")),
    "header_rule": (a_header_rule(), {"header": "X-Other"}, ("X-Other",)),
    "geo_data": ({}, {"country_url": "https://data.example/a.mmdb"}, ("Countries URL", "https://data.example/a.mmdb")),
    "traffic": ({}, {"max_connections": "777"}, ("777",)),
}
"By noun: what is there, what is typed, and what is said of it."


def typed_in(page: str) -> dict[str, list[str]]:
    return dict(read(page).values)


async def edit_url(ada: httpx2.AsyncClient, key: str) -> str:
    await ada.post("/virtual-hosts", data=a_virtual_host())
    noun, made = NOUNS[key], DRAFTS[key][0]
    place = noun.place(1) if noun.within else noun.path
    if made:
        answer = await ada.post(place, data=made)
        assert answer.status_code == 303, answer.text
    return place if noun.only_name else f"{place}/1"


@pytest.mark.parametrize("key", DRAFTS)
async def test_a_form_is_compared_with_what_is_saved(ada: httpx2.AsyncClient, key: str) -> None:
    """By its button, for htmx as a part. Nothing is saved."""
    url = await edit_url(ada, key)
    page = await ada.get(f"{url}/edit")
    assert read(page.text).find("button", formaction=f"{url}/compare")
    typed, (_, change, words) = typed_in(page.text), DRAFTS[key]

    same = await ada.post(f"{url}/compare", data=typed, headers=PART)
    changed = await ada.post(f"{url}/compare", data=typed | change, headers=PART)
    whole = await ada.post(f"{url}/compare", data=typed | change)

    assert "No differences" in same.text, read(same.text).text
    assert "<html" not in changed.text and "<html" in whole.text
    for text in words:
        assert text in changed.text and text in whole.text
    assert typed_in((await ada.get(f"{url}/edit")).text) | {"save_key": []} == typed | {"save_key": []}


async def test_every_noun_whose_form_shows_all_that_it_sends_is_compared(ada: httpx2.AsyncClient) -> None:
    """Not one whose form takes a key or a file, which is never shown again."""
    assert {key for key, noun in NOUNS.items() if noun.is_all_shown} == set(DRAFTS)
    url = await edit_url(ada, "policy")
    await ada.post("/virtual-hosts", data=a_virtual_host())

    assert "Compare with saved" in (await ada.get(f"{url}/edit")).text
    assert "Compare with saved" not in (await ada.get("/virtual-hosts/1/edit")).text
    assert (await ada.post("/virtual-hosts/1/compare", data={})).status_code in {404, 405}


async def test_what_cannot_be_read_is_said_and_others_are_not_found(ada: httpx2.AsyncClient) -> None:
    url = await edit_url(ada, "rule_exclusion")
    typed = typed_in((await ada.get(f"{url}/edit")).text)

    wrong = await ada.post(f"{url}/compare", data=typed | {"path": "posts"}, headers=PART)
    await ada.post("/policies", data=a_policy())
    elsewhere = await ada.post("/policies/2/exclusions/1/compare", data=typed)
    gone = await ada.post("/policies/1/exclusions/9/compare", data=typed)

    assert "Path: Start the path with /." in read(wrong.text).text
    assert (elsewhere.status_code, gone.status_code) == (404, 404)


async def test_only_editors_compare(vera: httpx2.AsyncClient) -> None:
    assert (await vera.post("/policies/1/compare", data={})).status_code == 403
