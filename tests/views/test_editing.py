"""Two people at one thing: nobody overwrites what they did not see, and nothing typed is lost."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import FastAPI

from guardpanel.errors import DeploymentFailed
from guardpanel.models.user import AccountFields, Role
from guardpanel.panel import Panel
from tests.conftest import PASSWORD, log_in, someone
from tests.factories import a_policy, a_virtual_host
from tests.fakes import FakeEngines
from tests.html import Read, read

pytestmark = pytest.mark.anyio

GRACE = "grace@example.org"

POLICY = "/policies/2"
HOST = "/virtual-hosts/1"


@pytest.fixture
async def grace(app: FastAPI, panel: Panel) -> AsyncIterator[httpx2.AsyncClient]:
    """Another person who may change things."""
    fields = AccountFields(email=GRACE, full_name="Grace Hopper", password=PASSWORD)
    await panel.accounts.create(fields, Role.ADMIN)
    async with someone(app) as client:
        await log_in(client, GRACE)
        yield client


@pytest.fixture
async def policy(ada: httpx2.AsyncClient) -> None:
    """/policies/2, version 1."""
    assert (await ada.post("/policies", data=a_policy())).headers["location"] == POLICY


@pytest.fixture
async def host(ada: httpx2.AsyncClient) -> None:
    """/virtual-hosts/1, version 1."""
    assert (await ada.post("/virtual-hosts", data=a_virtual_host())).headers["location"] == HOST


async def saved(client: httpx2.AsyncClient, path: str, form: dict[str, str]) -> None:
    answer = await client.post(path, data=form)
    assert answer.status_code == 303, read(answer.text).text


async def behind(client: httpx2.AsyncClient, path: str, form: dict[str, str]) -> Read:
    answer = await client.post(path, data=form)
    assert answer.status_code == 412
    return read(answer.text)


async def now(client: httpx2.AsyncClient, path: str) -> Read:
    return read((await client.get(f"{path}/edit")).text)


def choices(page: Read) -> dict[str, str]:
    return {name.removeprefix("take."): page.value(name) for name in page.values if name.startswith("take.")}


def sent(page: Read, **others: str) -> dict[str, str]:
    """The form of this page as a browser would send it."""
    fields = {name: values[0] for name, values in page.values.items() if name != "q" and "__n__" not in name}
    return {**fields, **others}


@pytest.mark.usefixtures("policy")
async def test_a_field_that_only_the_other_changed_is_theirs_and_mine_stays_mine(
    ada: httpx2.AsyncClient, grace: httpx2.AsyncClient
) -> None:
    await saved(grace, POLICY, a_policy(version="1", inbound_anomaly_threshold="9"))

    page = await behind(ada, POLICY, a_policy(version="1", description="for the shop"))
    assert choices(page) == {"description": "mine", "inbound_anomaly_threshold": "theirs"}
    assert f"{GRACE} changed this while you were editing" in page.text
    assert "Inbound anomaly threshold" in page.text
    assert "both changed" not in page.text

    await saved(ada, POLICY, sent(page))
    after = await now(ada, POLICY)
    assert (after.value("description"), after.value("inbound_anomaly_threshold")) == ("for the shop", "9")


@pytest.mark.usefixtures("policy")
@pytest.mark.parametrize(("choice", "value"), [("mine", "7"), ("theirs", "9")])
async def test_a_field_that_both_changed_is_marked_and_chosen(
    ada: httpx2.AsyncClient, grace: httpx2.AsyncClient, choice: str, value: str
) -> None:
    await saved(grace, POLICY, a_policy(version="1", inbound_anomaly_threshold="9"))

    page = await behind(ada, POLICY, a_policy(version="1", inbound_anomaly_threshold="7"))
    assert choices(page) == {"inbound_anomaly_threshold": "mine"}
    assert "both changed" in page.text
    assert "You both changed 1 field" in page.text
    assert page.value("inbound_anomaly_threshold") == "7"

    await saved(ada, POLICY, sent(page, **{"take.inbound_anomaly_threshold": choice}))
    assert (await now(ada, POLICY)).value("inbound_anomaly_threshold") == value


@pytest.mark.usefixtures("policy")
async def test_a_save_between_the_question_and_the_answer_asks_again(
    ada: httpx2.AsyncClient, grace: httpx2.AsyncClient
) -> None:
    await saved(grace, POLICY, a_policy(version="1", inbound_anomaly_threshold="9", body_limit_kib="64"))
    page = await behind(ada, POLICY, a_policy(version="1", inbound_anomaly_threshold="7"))
    await saved(grace, POLICY, a_policy(version="2", inbound_anomaly_threshold="11", body_limit_kib="32"))

    again = await behind(ada, POLICY, sent(page))
    assert choices(again) == {"inbound_anomaly_threshold": "mine", "body_limit_kib": "theirs"}
    assert (again.value("opened"), again.value("version")) == ("1", "3")

    await saved(ada, POLICY, sent(again, **{"take.inbound_anomaly_threshold": "theirs"}))
    after = await now(ada, POLICY)
    assert (after.value("inbound_anomaly_threshold"), after.value("body_limit_kib")) == ("11", "32")


@pytest.mark.usefixtures("policy")
async def test_an_answer_that_is_refused_keeps_what_was_typed_and_the_choices(
    ada: httpx2.AsyncClient, grace: httpx2.AsyncClient
) -> None:
    await saved(grace, POLICY, a_policy(version="1", inbound_anomaly_threshold="9", description="hers"))
    page = await behind(ada, POLICY, a_policy(version="1", inbound_anomaly_threshold="7", body_limit_kib="64"))

    answer = await ada.post(POLICY, data=sent(page, inbound_anomaly_threshold="many", body_limit_kib="0"))
    refused = read(answer.text)
    assert answer.status_code == 422
    assert refused.error_at("inbound_anomaly_threshold") and refused.error_at("body_limit_kib")
    assert refused.value("inbound_anomaly_threshold") == "many"
    assert choices(refused) == {"description": "theirs", "inbound_anomaly_threshold": "mine", "body_limit_kib": "mine"}

    await saved(ada, POLICY, sent(refused, body_limit_kib="32", **{"take.inbound_anomaly_threshold": "theirs"}))
    after = await now(ada, POLICY)
    assert (after.value("inbound_anomaly_threshold"), after.value("body_limit_kib")) == ("9", "32")
    assert after.value("description") == "hers"


@pytest.mark.usefixtures("policy")
async def test_a_refused_form_that_is_behind_does_not_overwrite_when_it_is_sent_again(
    ada: httpx2.AsyncClient, grace: httpx2.AsyncClient
) -> None:
    await saved(grace, POLICY, a_policy(version="1", body_limit_kib="64"))

    answer = await ada.post(POLICY, data=a_policy(version="1", inbound_anomaly_threshold="many"))
    refused = read(answer.text)
    assert answer.status_code == 422
    assert choices(refused) == {"inbound_anomaly_threshold": "mine", "body_limit_kib": "theirs"}

    await saved(ada, POLICY, sent(refused, inbound_anomaly_threshold="7"))
    after = await now(ada, POLICY)
    assert (after.value("inbound_anomaly_threshold"), after.value("body_limit_kib")) == ("7", "64")


@pytest.mark.usefixtures("policy")
async def test_typing_after_choosing_asks_again(ada: httpx2.AsyncClient, grace: httpx2.AsyncClient) -> None:
    await saved(grace, POLICY, a_policy(version="1", inbound_anomaly_threshold="9"))
    page = await behind(ada, POLICY, a_policy(version="1"))
    assert choices(page) == {"inbound_anomaly_threshold": "theirs"}

    again = await behind(ada, POLICY, sent(page, inbound_anomaly_threshold="8"))
    assert "Choose again" in again.text
    assert choices(again) == {"inbound_anomaly_threshold": "mine"}
    assert again.value("inbound_anomaly_threshold") == "8"

    await saved(ada, POLICY, sent(again, **{"take.inbound_anomaly_threshold": "theirs"}))
    assert (await now(ada, POLICY)).value("inbound_anomaly_threshold") == "9"


@pytest.mark.usefixtures("host")
async def test_names_and_servers_are_one_field_each(ada: httpx2.AsyncClient, grace: httpx2.AsyncClient) -> None:
    theirs = {
        "servers.1.address": "127.0.0.2:3000",
        "servers.1.weight": "50",
        "servers.1.enabled": "on",
        "servers.1.health_check": "on",
    }
    await saved(grace, HOST, a_virtual_host("shop.example\nbücher.example", version="1", name="shop.example", **theirs))

    mine = {"servers.0.address": "127.0.0.9:3000"}
    page = await behind(
        ada, HOST, a_virtual_host("shop.example\nmine.example", version="1", name="shop.example", **mine)
    )
    assert choices(page) == {"hostnames": "mine", "servers": "mine"}
    assert "bücher.example" in page.text
    assert "http://127.0.0.2:3000, weight 50" in page.text
    assert page.value("servers.0.address") == "127.0.0.9:3000"

    await saved(ada, HOST, sent(page, **{"take.servers": "theirs"}))
    after = await now(ada, HOST)
    assert after.value("hostnames").split() == ["shop.example", "mine.example"]
    assert [after.value(f"servers.{at}.address") for at in (0, 1)] == ["127.0.0.1:3000", "127.0.0.2:3000"]
    assert after.value("servers.1.weight") == "50"


@pytest.mark.usefixtures("host")
async def test_a_row_added_without_javascript_keeps_the_choices_and_what_was_typed(
    ada: httpx2.AsyncClient, grace: httpx2.AsyncClient
) -> None:
    await saved(grace, HOST, a_virtual_host(version="1", name="shop.example", notes="hers"))
    page = await behind(ada, HOST, a_virtual_host(version="1", name="shop.example", notes="mine"))

    more = read((await ada.post(HOST, data=sent(page, add_row="servers", **{"take.notes": "theirs"}))).text)

    assert choices(more) == {"notes": "theirs"}
    assert more.value("notes") == "mine"
    assert more.value("servers.1.address") == ""


@pytest.mark.usefixtures("policy")
async def test_a_form_whose_beginning_is_not_kept_shows_every_field_that_differs(ada: httpx2.AsyncClient) -> None:
    page = await behind(ada, POLICY, a_policy(version="99", inbound_anomaly_threshold="7", description="x"))

    assert choices(page) == {"description": "mine", "inbound_anomaly_threshold": "mine"}
    assert "both changed" not in page.text


@pytest.mark.usefixtures("host")
async def test_a_form_without_a_version_saves_nothing_and_asks(ada: httpx2.AsyncClient) -> None:
    typed = a_virtual_host(version=None, notes="mine", name="shop.example")
    page = await behind(ada, HOST, typed)

    assert "This form names no version to compare with Nothing was saved." in page.text
    assert choices(page) == {"notes": "mine"}
    assert (await now(ada, HOST)).value("notes") == ""

    more = read((await ada.post(HOST, data={**typed, "add_row": "servers"})).text)
    assert choices(more) == {"notes": "mine"}

    await saved(ada, HOST, sent(page))
    assert (await now(ada, HOST)).value("notes") == "mine"


@pytest.mark.usefixtures("policy")
async def test_equal_edits_are_reported_as_equal(ada: httpx2.AsyncClient, grace: httpx2.AsyncClient) -> None:
    await saved(grace, POLICY, a_policy(version="1", inbound_anomaly_threshold="9"))

    page = await behind(ada, POLICY, a_policy(version="1", inbound_anomaly_threshold="9"))

    assert choices(page) == {}
    assert "The current values already match yours" in page.text


@pytest.mark.usefixtures("policy")
async def test_each_value_is_said_by_whom(ada: httpx2.AsyncClient, grace: httpx2.AsyncClient) -> None:
    await saved(grace, POLICY, a_policy(version="1", inbound_anomaly_threshold="9"))
    await saved(ada, POLICY, a_policy(version="2", inbound_anomaly_threshold="9", body_limit_kib="64"))

    page = await behind(grace, POLICY, a_policy(version="1"))

    assert "ada@example.org and you changed this" in page.text
    words = page.text.partition("Choose a value for each field")[2]
    assert "9 you," in words.partition("Inbound anomaly threshold")[2]
    assert "64 KiB ada@example.org," in words.partition("Body limit")[2]


@pytest.mark.usefixtures("policy")
async def test_what_others_typed_is_only_text(ada: httpx2.AsyncClient, grace: httpx2.AsyncClient) -> None:
    evil = "<img src=x onerror=alert(1)>\n{{ 7 * 7 }}"
    await saved(grace, POLICY, a_policy(version="1", description=evil))

    answer = await ada.post(POLICY, data=a_policy(version="1", description="mine"))

    assert not read(answer.text).find("img")
    assert "&lt;img src=x onerror=alert(1)&gt;" in answer.text
    assert "{{ 7 * 7 }}" in answer.text


@pytest.mark.usefixtures("policy")
@pytest.mark.parametrize("name", ["take.nothing", "take.", "take.servers.0.address", "mark.description", "opened"])
async def test_unrequested_choices_are_harmless(ada: httpx2.AsyncClient, name: str) -> None:
    await saved(ada, POLICY, a_policy(version="1", description="typed", **{name: "theirs"}))

    assert (await now(ada, POLICY)).value("description") == "typed"


@pytest.mark.usefixtures("policy", "host")
@pytest.mark.parametrize(("path", "word"), [(POLICY, "policy"), (HOST, "virtual host")])
async def test_a_row_deleted_during_editing_can_be_added_again(
    ada: httpx2.AsyncClient, grace: httpx2.AsyncClient, path: str, word: str
) -> None:
    form = a_policy(version="1", description="typed") if path == POLICY else a_virtual_host(version="1", notes="typed")
    await saved(grace, f"{path}/delete", {"version": "1"})

    answer = await ada.post(path, data=form)
    page = read(answer.text)
    assert answer.status_code == 404
    assert f"{GRACE} deleted this {word} while you were editing" in page.text
    assert "typed" in {values[0].strip() for values in page.values.values()}
    base = path.rpartition("/")[0]
    assert page.find("form", action=base)

    added = await ada.post(base, data=sent(page))
    assert added.status_code == 303
    assert (
        "typed" in (await now(ada, added.headers["location"])).values["description" if path == POLICY else "notes"][0]
    )


@pytest.mark.usefixtures("policy", "host")
@pytest.mark.parametrize(("path", "words"), [(POLICY, "Description"), (HOST, "Notes")])
async def test_what_changed_meanwhile_is_shown_before_it_is_deleted(
    ada: httpx2.AsyncClient, grace: httpx2.AsyncClient, path: str, words: str
) -> None:
    form = (
        a_policy(version="1", description="hers")
        if path == POLICY
        else a_virtual_host(version="1", notes="hers", name="shop.example")
    )
    await saved(grace, path, form)

    page = await behind(ada, f"{path}/delete", {"version": "1"})
    assert f"{GRACE} changed this since you opened this page" in page.text
    assert f"{words} none hers" in page.text

    await saved(ada, f"{path}/delete", sent(page))
    assert (await ada.get(path)).status_code == 404


@pytest.mark.usefixtures("policy", "host")
@pytest.mark.parametrize("path", [POLICY, HOST])
async def test_a_delete_without_a_version_deletes_nothing_and_asks(ada: httpx2.AsyncClient, path: str) -> None:
    answer = await ada.post(f"{path}/delete", data={})

    page = read(answer.text)
    assert answer.status_code == 409
    assert "Review what is deleted, then confirm." in page.text
    assert (await ada.get(path)).status_code == 200

    await saved(ada, f"{path}/delete", sent(page))
    assert (await ada.get(path)).status_code == 404


@pytest.mark.usefixtures("policy")
async def test_second_delete_reports_already_deleted(ada: httpx2.AsyncClient, grace: httpx2.AsyncClient) -> None:
    await saved(grace, f"{POLICY}/delete", {"version": "1"})

    answer = await ada.post(f"{POLICY}/delete", data={"version": "1"})

    assert (answer.status_code, answer.headers["location"]) == (303, "/policies")
    assert "This was already deleted" in (await ada.get("/policies")).text


@pytest.mark.usefixtures("policy")
async def test_a_double_click_is_one_save_with_one_answer(ada: httpx2.AsyncClient, engines: FakeEngines) -> None:
    form = a_policy(version="1", inbound_anomaly_threshold="9", save_key=uuid.uuid4().hex)
    before = engines.deployments

    answers = await asyncio.gather(*(ada.post(POLICY, data=form) for _ in range(3)))

    assert {(answer.status_code, answer.headers["location"]) for answer in answers} == {(303, POLICY)}
    assert engines.deployments == before + 1
    assert (await now(ada, POLICY)).value("version") == "2"


@pytest.mark.usefixtures("policy")
async def test_a_double_click_on_delete_is_one_delete_with_one_answer(ada: httpx2.AsyncClient) -> None:
    form = {"version": "1", "save_key": uuid.uuid4().hex}

    first, second = await ada.post(f"{POLICY}/delete", data=form), await ada.post(f"{POLICY}/delete", data=form)

    assert first.headers["location"] == second.headers["location"] == "/policies"
    assert first.cookies["gp_flash"] == second.cookies["gp_flash"]


@pytest.mark.usefixtures("policy")
async def test_a_key_that_comes_back_with_something_else_is_another_save(ada: httpx2.AsyncClient) -> None:
    """As it does when somebody goes back to the form without JavaScript, and edits it again."""
    key = uuid.uuid4().hex
    await saved(ada, POLICY, a_policy(version="1", inbound_anomaly_threshold="9", save_key=key))

    page = await behind(ada, POLICY, a_policy(version="1", inbound_anomaly_threshold="8", save_key=key))

    assert "You changed this while you were editing" in page.text
    assert choices(page) == {"inbound_anomaly_threshold": "mine"}


@pytest.mark.usefixtures("policy")
async def test_a_save_that_failed_is_tried_again_under_its_key(ada: httpx2.AsyncClient, engines: FakeEngines) -> None:
    form = a_policy(version="1", inbound_anomaly_threshold="9", save_key=uuid.uuid4().hex)
    engines.fail("verify")
    assert (await ada.post(POLICY, data=form)).status_code == 502

    engines.fail(None)

    await saved(ada, POLICY, form)


@pytest.mark.usefixtures("policy")
async def test_a_form_opened_during_a_save_that_is_rolled_back_is_behind(
    ada: httpx2.AsyncClient, grace: httpx2.AsyncClient, engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It shows a version that never went live; the next edit must not get the same one."""
    pages: list[Read] = []

    async def deploy(*_: object, **__: object) -> None:
        pages.append(await now(ada, POLICY))
        raise DeploymentFailed("It broke.", step="verify")

    with monkeypatch.context() as broken:
        broken.setattr(engines, "deploy", deploy)
        refused = await grace.post(POLICY, data=a_policy(version="1", inbound_anomaly_threshold="9"))
    assert refused.status_code == 502
    assert pages[0].value("inbound_anomaly_threshold") == "9"
    await saved(grace, POLICY, a_policy(version="1", inbound_anomaly_threshold="8"))

    page = await behind(ada, POLICY, sent(pages[0], description="mine"))

    assert choices(page) == {"description": "mine", "inbound_anomaly_threshold": "mine"}


@pytest.mark.usefixtures("policy")
async def test_after_a_save_the_page_can_be_loaded_again(ada: httpx2.AsyncClient, engines: FakeEngines) -> None:
    answer = await ada.post(POLICY, data=a_policy(version="1", inbound_anomaly_threshold="9"))
    before = engines.deployments

    pages = [await ada.get(answer.headers["location"]) for _ in range(2)]

    assert answer.status_code == 303
    assert [page.status_code for page in pages] == [200, 200]
    assert engines.deployments == before
