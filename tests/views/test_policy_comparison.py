"""Two policies, or one and its past: what differs, by effect."""

from typing import Any

import httpx2
import pytest

from tests.corpus import share
from tests.factories import a_policy, an_exclusion, an_override
from tests.html import read

pytestmark = pytest.mark.anyio

API = "/api/v1/policies/1/compare"


async def differences(client: httpx2.AsyncClient, **query: int) -> list[tuple[str, str, str]]:
    answer = await client.get(API, params=query)
    assert answer.status_code == 200, answer.text
    return [(difference["noun"], difference["kind"], difference["name"]) for difference in answer.json()["differences"]]


async def test_a_policy_is_as_it_is(ada_api: httpx2.AsyncClient) -> None:
    assert await differences(ada_api) == []


async def test_what_two_policies_have_in_common_is_no_difference(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient
) -> None:
    own = (await ada_api.get("/api/v1/policies/1")).json()
    await ada.post("/policies", data=a_policy(blocking_paranoia_level="2", detection_paranoia_level="2"))
    for policy, exclusions in ((1, ["941100", "942100"]), (2, ["942100", "932100"])):
        for rule in exclusions:
            await ada.post(f"/policies/{policy}/exclusions", data=an_exclusion(rules=rule))
    await ada.post("/policies/2/exclusions", data=an_exclusion(rules="920100", target="request", reason="theirs"))
    await ada.post("/policies/1/exclusions", data=an_exclusion(rules="920100", target="request", reason="ours"))
    await ada.post("/policies/1/rules", data=an_override())

    assert sorted((noun, kind) for noun, kind, _ in await differences(ada_api, policy=2)) == [
        ("policy", "changed"), ("rule_exclusion", "added"), ("rule_exclusion", "changed"), ("rule_exclusion", "removed"),
        ("rule_override", "added"),
    ]  # fmt: skip
    fields: dict[str, Any] = {
        field["name"]: (field["before"], field["after"])
        for difference in (await ada_api.get(API, params={"policy": 2})).json()["differences"]
        for field in difference["fields"]
        if difference["kind"] == "changed"
    }
    assert (fields["blocking_paranoia_level"], fields["reason"]) == (
        ("2", str(own["blocking_paranoia_level"])),
        ("theirs", "ours"),
    )
    assert "name" not in fields

    page = (await ada.get("/policies/1/compare", params={"policy": 2})).text
    for words in ("Strict, now", "Default, now", "Blocking paranoia level", "941100"):
        assert words in page
    assert 'href="/policies/1/compare"' in (await ada.get("/policies/1")).text


async def test_a_policy_is_compared_with_its_past(ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient) -> None:
    await ada.post("/policies/1/exclusions", data=an_exclusion())
    revision = (await ada_api.get("/api/v1/runtime/status")).json()["revision"]
    await ada_api.patch("/api/v1/policies/1/exclusions/1", json={"reason": "Editors"})
    await ada.post("/policies/1/rules", data=an_override())

    assert sorted(kind for _, kind, _ in await differences(ada_api, revision=revision)) == ["added", "changed"]
    assert f"Default, revision {revision}" in (await ada.get("/policies/1/compare", params={"revision": revision})).text


@pytest.mark.parametrize(
    ("query", "words"),
    [({"policy": 9}, "Policy not found."), ({"revision": 99}, "Revision 99 does not exist or is no longer stored.")],
)
async def test_what_is_not_there_is_said(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, query: dict[str, int], words: str
) -> None:
    assert words in (await ada.get("/policies/1/compare", params=query)).text
    answer = await ada_api.get(API, params=query)
    assert (answer.status_code, answer.json()["detail"]) == (404, words)


async def test_a_policy_that_was_not_there_yet_is_named(ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient) -> None:
    revision = (await ada_api.get("/api/v1/runtime/status")).json()["revision"]
    await ada.post("/policies", data=a_policy())

    answer = await ada_api.get("/api/v1/policies/2/compare", params={"revision": revision})
    assert answer.json()["detail"] == f"The policy did not exist in revision {revision}."


async def test_any_text_asks_for_nothing(ada: httpx2.AsyncClient) -> None:
    for text in [text for text in share(1) if len(text) <= 200]:
        answer = await ada.get("/policies/1/compare", params={"policy": text, "revision": text})

        assert (answer.status_code, "Choose another policy" in read(answer.text).text) == (200, True), text
