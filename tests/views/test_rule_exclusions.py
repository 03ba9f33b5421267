"""The pages of rule exclusions: on their policy's page, alone, and the form that says what it would do."""

import re

import httpx2
import pytest

from tests.factories import a_policy, a_virtual_host, an_exclusion, an_override
from tests.fakes import FakeEngines
from tests.html import read
from tests.rule_set import rule_set

pytestmark = pytest.mark.anyio

PLACE = "/policies/1/exclusions"
REACH = (
    "Rule 941100 doesn’t inspect the argument “content” in POST requests to /wp-json/posts. "
    "Everything else is inspected as before."
)


async def test_one_is_shown_on_the_page_of_its_policy_and_on_its_own(ada: httpx2.AsyncClient) -> None:
    made = await ada.post(PLACE, data=an_exclusion(reason="Editors write HTML"))

    assert made.headers["location"] == f"{PLACE}/1"
    policy, alone = (await ada.get("/policies/1")).text, (await ada.get(f"{PLACE}/1")).text
    assert f'href="{PLACE}/1"' in policy
    assert "SecRule REQUEST_FILENAME" in alone
    for words in (REACH, "Editors write HTML", "ctl:ruleRemoveTargetById=941100;ARGS:content", 'href="/policies/1"'):
        assert words in alone


async def test_a_policy_with_many_leads_to_all_of_them(
    ada: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guardpanel.views.policies.MOST_OF_ITS_RULES", 1)
    for name in ("a", "b", "c"):
        await ada.post(PLACE, data=an_exclusion(target_name=name))
    for rule in ("942100", "941100"):
        await ada.post("/policies/1/rules", data=an_override(rule=rule))

    policy = read((await ada.get("/policies/1")).text)

    assert "2 more in the ledger" in policy.text
    assert "1 more in the ledger" in policy.text
    assert policy.find("a", href="/rules/ledger?policy=1")


async def test_the_name_of_one_keeps_acronyms(ada: httpx2.AsyncClient) -> None:
    await ada.post(PLACE, data=an_exclusion(target="json", target_name="items.*.text"))

    assert "941100: JSON value items.*.text, POST /wp-json/posts" in (await ada.get(f"{PLACE}/1")).text


async def test_the_form_says_what_it_would_do_and_what_is_wrong(ada: httpx2.AsyncClient) -> None:
    answer = await ada.post(f"{PLACE}/new/reach", data=an_exclusion())
    wrong = await ada.post(f"{PLACE}/new/reach", data=an_exclusion(rules="949110"))

    assert REACH in answer.text
    assert "adds up the score and blocks" in wrong.text
    assert (await ada.get("/changes")).text.count("rule exclusion") == 0


@pytest.mark.changes_nothing
@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"rules": "941100\n941160"}, "Rules 941100 and 941160 don’t inspect"),
        ({"rules": "attack-xss"}, "All rules tagged attack-xss don’t inspect"),
        ({"target_name": ""}, "any argument in"),
        ({"target": "xml"}, "don’t inspect XML bodies in"),
        (
            {"rules": "941100\n942100\nattack-lfi", "target": "request"},
            "and all rules tagged attack-lfi don’t run for POST requests",
        ),
        ({"path_match": "any"}, "in all POST requests."),
        ({"path_match": "below", "methods": ""}, "in requests to /wp-json/posts and everything below."),
        ({"path_match": "as_sent", "path": "/a/..%2fb"}, "in POST requests whose path is sent as /a/..%2fb."),
        ({"only_if": "action=save\nv=2"}, "if action is “save” and v is “2”."),
        ({"virtual_host_id": "1"}, "to /wp-json/posts on shop.example."),
        ({"virtual_host_id": "1"}, "loads a rule set of its own for this virtual host"),
        ({"target": "json", "target_name": "items.*.text"}, "A form field named json.items.0.text is excluded, too."),
    ],
)
async def test_the_sentence_says_what_the_fields_say(
    ada: httpx2.AsyncClient, typed: dict[str, str], words: str
) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host())

    answer = await ada.post(f"{PLACE}/new/reach", data=an_exclusion(**{"rules": "941100\n941160", **typed}))

    assert words in answer.text


@pytest.mark.parametrize(
    ("path_match", "path", "words"),
    [
        ("exact", "/a/../b", "Enter the path without . and .. segments. Or choose Exactly as sent."),
        ("below", "/caf%C3%A9", "Enter the path decoded: é, not %C3%A9. Or choose Exactly as sent."),
        ("pattern", r"/a/\.\./b", "This never matches: paths with .. fit no pattern. Choose Exactly as sent"),
        ("as_sent", "/café", "Enter the path as it was sent: %C3%A9, not é"),
        ("as_sent", "/a b", "and %20, not a space."),
        ("as_sent", "/a?b", "Enter the path without its query."),
        ("as_sent", "a", "Start the path with /."),
    ],
)
async def test_a_path_that_no_request_has_is_refused_and_kept(
    ada: httpx2.AsyncClient, engines: FakeEngines, path_match: str, path: str, words: str
) -> None:
    engines.agent.known_rules = rule_set()
    answer = await ada.post(PLACE, data=an_exclusion(path_match=path_match, path=path))

    page = read(answer.text)
    assert (answer.status_code, page.values["path"]) == (422, [path])
    assert words in page.text


async def test_it_is_found_edited_and_deleted(ada: httpx2.AsyncClient) -> None:
    await ada.post(PLACE, data=an_exclusion())
    form = read((await ada.get(f"{PLACE}/1/edit")).text)

    assert form.find("form", action=f"{PLACE}/1")
    assert f'href="{PLACE}/1"' in (await ada.get("/search?q=941100")).text
    assert (await ada.post(f"{PLACE}/1", data=an_exclusion(methods="PUT", version="1"))).headers[
        "location"
    ] == f"{PLACE}/1"
    assert (
        "Default: 941100: argument content, PUT /wp-json/posts: method PUT added, method POST removed"
        in (await ada.get("/changes?noun=policy&id=1")).text
    )
    gone = await ada.post(f"{PLACE}/1/delete", data={"version": "2"})
    assert gone.headers["location"] == "/policies/1"
    assert (await ada.get(f"{PLACE}/1")).status_code == 404


async def test_the_form_keeps_a_virtual_host_that_uses_another_policy_by_now(ada: httpx2.AsyncClient) -> None:
    """A browser sends the first choice where none is selected: all virtual hosts."""
    await ada.post("/virtual-hosts", data=a_virtual_host())
    await ada.post(PLACE, data=an_exclusion(virtual_host_id="1"))
    await ada.post("/policies", data=a_policy())
    await ada.post("/virtual-hosts/1", data=a_virtual_host(policy_id="2", version="1"))

    form = read((await ada.get(f"{PLACE}/1/edit")).text)
    typed = {name: values[0] for name, values in form.values.items()}
    refused = await ada.post(f"{PLACE}/1", data={**typed, "reason": "Editors write HTML"})

    assert typed.get("virtual_host_id") == "1"
    assert "shop.example" in form.text
    assert refused.status_code == 422
    assert "shop.example does not use this policy." in read(refused.text).text
    assert "on shop.example." in (await ada.get(f"{PLACE}/1")).text


async def test_delete_pages_list_the_rows_that_are_deleted_too(ada: httpx2.AsyncClient) -> None:
    await ada.post("/policies", data=a_policy())
    await ada.post("/virtual-hosts", data=a_virtual_host())
    for others in ({}, {"path": "/a"}, {"path": "/b", "virtual_host_id": "1"}):
        await ada.post(PLACE, data=an_exclusion(**others))
    await ada.post("/policies/2/exclusions", data=an_exclusion())

    host, other = (await ada.get("/virtual-hosts/1/delete")).text, (await ada.get("/policies/2/delete")).text
    await ada.post("/virtual-hosts/1", data=a_virtual_host(policy_id="2", version="1"))
    policy = (await ada.get("/policies/1/delete")).text

    assert "1 rule exclusion is deleted with it." in read(host).text
    assert "1 rule exclusion is deleted with it." in read(other).text
    assert "3 rule exclusions are deleted with it." in read(policy).text
    await ada.post("/policies/1/delete", data={"version": read(policy).value("version")})
    assert "deleted with it" not in (await ada.get("/virtual-hosts/1/delete")).text


async def test_its_changes_are_shown_and_restored(ada: httpx2.AsyncClient) -> None:
    await ada.post(PLACE, data=an_exclusion())
    await ada.post(f"{PLACE}/1", data=an_exclusion(methods="PUT", version="1"))
    await ada.post(f"{PLACE}/1/delete", data={"version": "2"})
    changes = re.findall(r'href="/changes/(\d+)"', (await ada.get("/changes")).text)[:3]

    for number in changes:
        assert "941100: argument content" in (await ada.get(f"/changes/{number}")).text
    question = await ada.get(f"/changes/{changes[1]}/restore")
    assert "941100: argument content, PUT /wp-json/posts" in question.text
    assert (await ada.post(f"/changes/{changes[1]}/restore")).status_code == 303
    assert (await ada.get(f"{PLACE}/1")).status_code == 200


async def test_the_delete_page_says_what_deleting_does(ada: httpx2.AsyncClient) -> None:
    await ada.post(PLACE, data=an_exclusion())
    works = (await ada.get(f"{PLACE}/1/delete")).text
    await ada.post(f"{PLACE}/1", data={**an_exclusion(version="1"), "enabled": ""})
    rests = (await ada.get(f"{PLACE}/1/delete")).text

    assert "inspect what it left out again" in works
    assert "It is disabled: nothing changes for requests." in rests


async def test_there_is_no_page_below_a_policy_that_there_is_not(ada: httpx2.AsyncClient) -> None:
    await ada.post(PLACE, data=an_exclusion())

    for path in (
        "/policies/9/exclusions/new",
        "/policies/9/exclusions/1",
        "/policies/x/exclusions/new",
        "/policies/9/exclusions/1/edit",
    ):
        assert (await ada.get(path)).status_code == 404
    assert (await ada.post("/policies/9/exclusions", data=an_exclusion())).status_code == 404


async def test_a_viewer_reads_but_does_not_add(vera: httpx2.AsyncClient) -> None:
    assert f"{PLACE}/new" not in (await vera.get("/policies/1")).text
    assert (await vera.post(PLACE, data=an_exclusion())).status_code == 403


async def test_a_rules_page_lists_what_excludes_it_and_begins_another(
    ada: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    engines.agent.known_rules = rule_set()
    for rules, path in (("941100", "/a"), ("941000-941999", "/b"), ("attack-xss", "/c"), ("942100", "/d")):
        assert (await ada.post(PLACE, data=an_exclusion(rules=rules, path=path))).status_code == 303

    page = read((await ada.get("/rules/941100")).text)

    listed = [link["href"] for link in page.find("a") if link.get("href", "").startswith(f"{PLACE}/")]
    assert sorted(listed) == [f"{PLACE}/1", f"{PLACE}/2", f"{PLACE}/3", f"{PLACE}/new?rules=941100"]
    assert read((await ada.get(f"{PLACE}/new?rules=941100")).text).value("rules") == "941100"
