"""The pages of changes: what was done, by whom, and the way back; also for those who may only look."""

import uuid

import httpx2
import pytest

from guardpanel.engines import Drift, Place
from guardpanel.panel import Panel
from tests.conftest import ADA
from tests.factories import a_policy, a_virtual_host
from tests.fakes import FakeEngines
from tests.html import Read, read

pytestmark = pytest.mark.anyio

Client = httpx2.AsyncClient


async def page_of(client: Client, path: str) -> Read:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text[-2000:]
    return read(answer.text)


async def add_host(ada: Client, *hosts: str, **others: object) -> str:
    answer = await ada.post("/virtual-hosts", data=a_virtual_host("\n".join(hosts), **others))
    assert answer.status_code == 303, answer.text[-3000:]
    return str(answer.headers["location"])


async def test_the_list_links_each_change_and_offers_the_way_back(ada: Client) -> None:
    await add_host(ada, "shop.example")
    await page_of(ada, await add_host(ada, "blog.example"))  # and its toast is gone

    page = await page_of(ada, "/changes")

    assert page.text.index("Added virtual host blog.example") < page.text.index("Added virtual host shop.example")
    assert [link["href"] for link in page.find("a") if link["href"].startswith("/changes/") and "/restore" not in link["href"]] == [
        "/changes/3", "/changes/2", "/changes/1"
    ]  # fmt: skip
    assert [form["action"] for form in page.find("form", method="post") if "/changes" in form["action"]] == [
        "/changes/3/undo"
    ]
    assert {link["href"] for link in page.find("a") if link["href"].endswith("/restore")} == {
        "/changes/2/restore",
        "/changes/1/restore",
    }


async def test_the_list_is_narrowed_by_thing_person_outcome_and_words(
    ada: Client, ada_api: Client, engines: FakeEngines
) -> None:
    await add_host(ada, "shop.example")
    await add_host(ada, "blog.example")
    await ada.post("/policies", data=a_policy("Strict"))
    engines.reject("balance", "no", noun="virtual_host", noun_id=1)
    await ada.post("/virtual-hosts/1", data=a_virtual_host("shop.example", balance="first"))

    for query, words in (
        ("noun=virtual_host&id=2", ["Added virtual host blog.example"]),
        ("noun=policy&id=2", ["Added policy Strict"]),
        ("outcome=rejected", ["shop.example: load balancing round robin → first available"]),
        (f"who={ADA}&q=BLOG", ["Added virtual host blog.example"]),
        ("who=guardpanel", ["First configuration"]),
        ("q=100%25", []),
        ("noun=virtual_host&id=99", []),
    ):
        page = await page_of(ada, f"/changes?{query}")
        links = [link["href"] for link in page.find("a") if link["href"].removeprefix("/changes/").isdigit()]
        assert len(links) == len(words), query
        assert all(word in page.text for word in words), query
    assert "No matching changes" in page.text

    page = await page_of(ada, "/changes?noun=user&id=1&outcome=x&who=&offset=-5&sort=x&id=")
    assert "Added policy Strict" in page.text


async def test_the_list_is_paged_on_the_server(ada: Client) -> None:
    for n in range(51):
        await ada.post("/policies/1", data=a_policy("Default", version=str(n + 1), description=f"d{n}"))

    first, second = await page_of(ada, "/changes"), await page_of(ada, "/changes?offset=50")

    assert "52 changes" in first.text
    assert first.find("a", rel="next", href="/changes?offset=50")
    assert second.find("a", rel="prev")
    assert "First configuration" in second.text and "First configuration" not in first.text


async def test_a_change_says_who_when_how_long_and_what(ada: Client) -> None:
    where = await add_host(ada, "shop.example")
    await ada.post(where, data=a_virtual_host("shop.example\nwww.shop.example", balance="leastconn"))

    page = await page_of(ada, "/changes/3")

    assert page.text.count(ADA) >= 1
    assert "shop.example: load balancing round robin → least connections, hostname www.shop.example added" in page.text
    for word in ("Rendered", "Checked", "Reloaded", "Verified", "UTC", "took"):
        assert word in page.text
    assert page.find("a", href="/virtual-hosts/1")
    assert "Load balancing Round robin Least connections" in page.text
    assert "haproxy.cfg" in page.text and "balance leastconn" in page.text


async def test_the_files_are_shown_by_engine_and_side_by_side(ada: Client) -> None:
    await ada.post("/policies", data=a_policy("Strict"))
    await add_host(ada, "shop.example", policy_id="2")

    compared = await page_of(ada, "/changes/2?files=agent")
    two = await page_of(ada, "/changes/3?files=haproxy&layout=two")
    odd = await page_of(ada, "/changes/3?files=x&layout=y")

    assert "coraza.yaml" in compared.text and "haproxy.cfg" not in compared.text
    assert two.find("div", **{"class": "diff two"})
    assert "haproxy.cfg" in odd.text
    assert {link["href"] for link in compared.find("a", **{"aria-current": "true"}) if "?" in link["href"]} == {
        "/changes/2?files=agent&layout=one#files"
    }


async def test_a_change_is_compared_with_any_other_revision(ada: Client) -> None:
    await add_host(ada, "shop.example")
    await add_host(ada, "blog.example")

    page = await page_of(ada, "/changes/3?against=1&files=haproxy&layout=one")
    back = await page_of(ada, "/changes/1?against=3")

    assert "from revision 1 to this" in page.text
    assert "Virtual host shop.example added" in page.text and "Virtual host blog.example added" in page.text
    assert "Virtual host shop.example removed" in back.text
    assert page.value("against") == "1"
    assert (await page_of(ada, "/changes/3?against=")).value("against") == ""


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [("/changes/99", 404, "Change not found"), ("/changes/0", 404, ""), ("/changes/x", 404, ""), ("/changes/1e9", 404, ""),
     ("/changes/9007199254740993", 404, ""), ("/changes/1?against=99", 404, "Revision 99 does not exist"), ("/changes/1?against=x", 422, ""),
     ("/changes/1?against=0", 422, ""), ("/changes/99/restore", 404, "Change not found"), ("/changes?id=x&noun=policy", 422, "")],
)  # fmt: skip
@pytest.mark.changes_nothing
async def test_an_address_that_names_nothing_gets_a_clear_page(ada: Client, path: str, status: int, words: str) -> None:
    answer = await ada.get(path)

    assert answer.status_code == status
    assert read(answer.text).find("main") and words in read(answer.text).text


async def test_undo_from_the_toast_of_any_save(ada: Client, panel: Panel) -> None:
    for path, form, gone in (
        ("/virtual-hosts", a_virtual_host("shop.example"), "/virtual-hosts"),
        ("/policies", a_policy("Strict"), "/policies"),
    ):
        page = await page_of(ada, (await ada.post(path, data=form)).headers["location"])
        (toast,) = [form["action"] for form in page.find("form", method="post") if form["action"].endswith("/undo")]
        undone = await ada.post(toast)
        after = await page_of(ada, undone.headers["location"])

        assert undone.headers["location"] == gone
        assert "Undone. Live in" in after.text
        (again,) = [form["action"] for form in after.find("form", method="post") if form["action"].endswith("/undo")]
        assert (await ada.post(again)).headers["location"].startswith(f"{path}/")


async def test_undo_of_a_deletion_leads_to_what_is_back(ada: Client) -> None:
    where = await add_host(ada, "shop.example")
    page = await page_of(ada, (await ada.post(f"{where}/delete", data={"version": "1"})).headers["location"])
    (toast,) = [form["action"] for form in page.find("form", method="post") if form["action"].endswith("/undo")]

    undone = await ada.post(toast)

    assert undone.headers["location"] == where
    assert "shop.example" in (await page_of(ada, where)).text


async def test_undo_in_the_list_stays_in_the_list(ada: Client) -> None:
    await add_host(ada, "shop.example")

    undone = await ada.post("/changes/2/undo", data={"next": "/changes?noun=virtual_host&id=1"})
    again = await ada.post("/changes/3/undo", data={"next": "//evil.example/"})

    assert undone.headers["location"] == "/changes?noun=virtual_host&id=1"
    assert again.headers["location"] == "/virtual-hosts/1"


async def test_a_double_click_on_undo_gets_the_same_answer_twice(ada: Client) -> None:
    await add_host(ada, "shop.example")

    first, second = await ada.post("/changes/2/undo"), await ada.post("/changes/2/undo")

    assert (first.status_code, second.status_code) == (303, 303)
    assert "Undid: Added virtual host shop.example" in (await page_of(ada, "/changes/3")).text
    assert (await ada.get("/changes/4")).status_code == 404


async def test_what_cannot_be_undone_says_why_and_changes_nothing(ada: Client, engines: FakeEngines) -> None:
    await add_host(ada, "shop.example")
    await add_host(ada, "blog.example")
    deployed = engines.deployments

    overtaken = await ada.post("/changes/2/undo")
    first = await ada.post("/changes/1/undo")

    assert (overtaken.status_code, first.status_code) == (409, 409)
    assert "because something was saved after it" in read(overtaken.text).text
    assert "Nothing was saved. Revision 3 is still live." in read(overtaken.text).text
    assert engines.deployments == deployed


async def test_drift_is_only_overwritten_after_confirmation(ada: Client, panel: Panel, engines: FakeEngines) -> None:
    await add_host(ada, "shop.example")
    engines.drifted = [Drift(Place.HAPROXY, "HAProxy runs another configuration.")]
    panel.changes.watch.record(tuple(engines.drifted))

    for path, form in (("/changes/2/undo", {}), ("/changes/1/restore", {"thing": "virtual_host:1"})):
        refused = await ada.post(path, data=form)
        page = read(refused.text)
        assert refused.status_code == 409
        assert "HAProxy runs another configuration. Nothing was saved. Revision 2 is still live." in page.text
        assert page.find("form", action=path) and page.find("button", name="over_drift")
        assert form.get("thing", "") in page.values.get("thing", [""])
    engines.drifted = []

    undone = await ada.post("/changes/2/undo", data={"over_drift": "on"})

    assert undone.status_code == 303


async def test_the_page_of_a_restore_shows_what_it_changes_now(ada: Client) -> None:
    await add_host(ada, "shop.example")
    await ada.post("/virtual-hosts/1", data=a_virtual_host("shop.example", balance="first"))
    await add_host(ada, "blog.example")

    page = await page_of(ada, "/changes/2/restore")

    assert "Restore revision 2" in page.text
    assert "Load balancing First available Round robin" in page.text
    assert "and deletes what was added since" in page.text
    assert "Virtual host blog.example removed; other fields have defaults Delete only this" in page.text
    assert sorted(page.values["thing"]) == ["virtual_host:1", "virtual_host:2"]
    assert len(set(page.values["save_key"])) == 3
    assert "+" in page.text and "haproxy.cfg" in page.text


async def test_of_many_things_those_that_are_deleted_are_folded(ada: Client) -> None:
    await add_host(ada, "shop.example")
    await ada.post("/virtual-hosts/1", data=a_virtual_host("shop.example", balance="first"))
    for name in ("a", "b", "c"):
        await add_host(ada, f"{name}.example")

    page = await page_of(ada, "/changes/2/restore")

    assert "Virtual host a.example removed Delete only this 4 fields name, policy, hostnames, … " in page.text
    assert "Virtual host shop.example Restore only this Field Current value" in page.text
    assert len(page.find("details", **{"class": "more"})) == 3


async def test_everything_or_one_thing_is_restored_as_a_new_revision(ada: Client) -> None:
    await add_host(ada, "shop.example")
    await ada.post("/virtual-hosts/1", data=a_virtual_host("shop.example", balance="first"))
    await add_host(ada, "blog.example")

    restored = await ada.post("/changes/2/restore", data={"thing": "virtual_host:1", "save_key": uuid.uuid4().hex})
    alone = await page_of(ada, restored.headers["location"])
    everything = await ada.post("/changes/2/restore", data={"save_key": uuid.uuid4().hex})

    assert restored.headers["location"] == "/virtual-hosts/1"
    assert "Restored. Live in" in alone.text and "as revision 5" in alone.text
    assert everything.headers["location"] == "/changes"
    assert "Restored revision 2" in (await page_of(ada, "/changes")).text
    assert (await ada.get("/virtual-hosts/2")).status_code == 404
    assert "Nothing to restore" in (await page_of(ada, "/changes/2/restore")).text


@pytest.mark.parametrize(
    "thing",
    ["virtual_host:99", "virtual_host:", "user:1", "policy:-1", "policy:1x", ":1", "policy:²", "policy:" + "9" * 30],
)
@pytest.mark.changes_nothing
async def test_what_there_is_not_is_not_restored(ada: Client, engines: FakeEngines, thing: str) -> None:
    if (await ada.get("/virtual-hosts/1")).status_code == 404:
        await add_host(ada, "shop.example")
    deployed = engines.deployments

    answer = await ada.post("/changes/1/restore", data={"thing": thing})

    assert answer.status_code in {404, 409}
    assert "Nothing to restore: it did not exist then" in read(answer.text).text
    assert engines.deployments == deployed


async def test_a_refused_restore_shows_the_engines_words(ada: Client, engines: FakeEngines) -> None:
    await add_host(ada, "shop.example")
    await add_host(ada, "blog.example")
    engines.reject("balance", "<b>this</b> is refused", noun="virtual_host", noun_id=2)

    answer = await ada.post("/changes/2/restore")
    page = read(answer.text)

    assert answer.status_code == 422
    assert "HAProxy rejected this change" in page.text and "Revision 3 is still live." in page.text
    assert "[ALERT] haproxy.cfg:212 : <b>this</b> is refused" in page.text
    assert not [link for link in page.find("a") if link["href"].startswith("#f-")]
    assert page.find("form", **{"data-save": ""})


async def test_a_refused_change_shows_all_words_as_text_and_what_it_would_have_done(
    ada: Client, engines: FakeEngines
) -> None:
    await add_host(ada, "shop.example")
    engines.reject("balance", "<script>alert(1)</script>\x1b[31m\u2028 one line", noun="virtual_host", noun_id=1)
    await ada.post("/virtual-hosts/1", data=a_virtual_host("shop.example", balance="first"))

    answer = await ada.get("/changes/3")
    page = read(answer.text)

    assert "Rejected change" in page.text and "HAProxy rejected this change." in page.text
    assert "<script>alert(1)</script>" in page.text and "<script>alert" not in answer.text
    assert [item["data-line"] for item in page.find("li") if "data-line" in item] == ["1"]
    assert "what it would have changed" in page.text and "Load balancing Round robin First available" in page.text
    assert "balance first" in page.text
    assert not [form for form in page.find("form") if form.get("action", "").endswith("/undo")]
    assert not [link for link in page.find("a") if link["href"].endswith("/restore")]


async def test_a_rolled_back_change_shows_its_steps(ada: Client, engines: FakeEngines) -> None:
    engines.fail("verify")
    await ada.post("/virtual-hosts", data=a_virtual_host("shop.example"))
    engines.fail(None)

    page = await page_of(ada, "/changes/2")

    assert "Rolled back" in page.text and "It broke at verify." in page.text and "what was seen" in page.text
    assert "Virtual host shop.example added" in page.text
    assert not [link for link in page.find("a") if link["href"] == "/virtual-hosts/1"]


async def test_a_save_without_a_reload_says_that(ada: Client) -> None:
    await add_host(ada, "shop.example")
    await ada.post("/virtual-hosts/1", data=a_virtual_host("shop.example", notes="Two \n\tlines"))

    page = await page_of(ada, "/changes/3")

    assert "Change at revision 2" in page.text and "nothing was reloaded" in page.text
    assert page.find("span", **{"class": "t-trailing"}) and page.find("span", **{"class": "t-tab"})
    assert "HAProxy’s files are the same" in page.text


async def test_a_note_says_why(ada: Client, vera: Client) -> None:
    typed = "Asked for by Vera <b>\nas of today"

    kept = await ada.post("/changes/1/note", data={"note": typed})
    page = await page_of(ada, kept.headers["location"])

    assert page.value("note") == typed
    assert "Asked for by Vera <b>" in (await page_of(vera, "/changes/1")).text
    assert "Asked for by Vera" in (await page_of(vera, "/changes?q=asked+for")).text


async def test_a_note_that_is_refused_stays_in_its_field(ada: Client) -> None:
    for typed in ("hidden \u202e text", "x" * 10_001):
        answer = await ada.post("/changes/1/note", data={"note": typed})
        page = read(answer.text)

        assert answer.status_code == 422
        assert page.value("note") == typed and page.error_at("note")


async def test_a_viewer_may_look_and_not_change(ada: Client, vera: Client, engines: FakeEngines) -> None:
    await add_host(ada, "shop.example")
    deployed = engines.deployments

    for path in ("/changes", "/changes/1", "/changes/2"):
        page = await page_of(vera, path)
        assert not [form for form in page.find("form", method="post") if form["action"].startswith("/changes")]
        assert not [link for link in page.find("a") if link["href"].endswith("/restore")]
    for path in ("/changes/2/undo", "/changes/1/restore", "/changes/1/note"):
        assert (await vera.post(path, data={"note": "x"})).status_code == 403
    assert (await vera.get("/changes/1/restore")).status_code == 403
    assert engines.deployments == deployed


async def test_changes_require_a_login(nobody: Client) -> None:
    for path in ("/changes", "/changes/1", "/changes/1/restore"):
        assert (await nobody.get(path)).headers["location"].startswith("/login")
    assert (await nobody.post("/changes/1/undo")).headers["location"].startswith("/login")


async def test_the_installations_secret_is_on_no_page(ada: Client, vera: Client, panel: Panel) -> None:
    await add_host(ada, "shop.example")
    secret = panel.changes.renderer.facts.secret

    for path in ("/changes/1", "/changes/1?files=agent", "/changes/1?layout=two", "/changes/2", "/changes/2?against=1"):
        assert secret not in (await vera.get(path)).text
    assert "…" in (await vera.get("/changes/1")).text


async def test_files_that_are_not_kept_are_made_again(ada: Client, panel: Panel) -> None:
    await page_of(ada, await add_host(ada, "shop.example"))
    kept = (await ada.get("/changes/2")).text

    panel.engines.releases.drop(1)

    assert (await ada.get("/changes/2")).text.partition("<main")[2] == kept.partition("<main")[2]


async def test_files_that_were_another_versions_are_said_to_be_made_again(ada: Client, panel: Panel) -> None:
    await add_host(ada, "shop.example")
    panel.engines.releases.drop(1)
    facts = panel.changes.renderer.facts
    panel.changes.renderer.facts = type(facts)(
        facts.http_binds, "/elsewhere", facts.agent_socket, facts.system_ca, facts.secret
    )

    assert "The files of one side are no longer stored" in (await page_of(ada, "/changes/2")).text


async def test_a_rail_leads_to_all_changes_of_its_thing(ada: Client) -> None:
    where = await add_host(ada, "shop.example")

    assert (await page_of(ada, where)).find("a", href="/changes?noun=virtual_host&id=1")
    assert "Added virtual host shop.example" in (await page_of(ada, "/changes?noun=virtual_host&id=1")).text
