"""How far a save is, and the live line."""

import uuid
from typing import Any

import httpx2
import pytest

from guardpanel.panel import Panel
from tests.factories import a_policy, an_address_list
from tests.html import read

pytestmark = pytest.mark.anyio


async def test_the_steps_of_a_save_can_be_asked_for_by_its_key(
    vera: httpx2.AsyncClient, ada: httpx2.AsyncClient
) -> None:
    key = uuid.uuid4().hex
    await ada.post("/policies", data=a_policy(save_key=key))

    page = read((await vera.get(f"/saves/{key}")).text)

    assert [word for word in ("Rendered", "Checked", "Reloaded", "Verified") if word in page.text] == [
        "Rendered", "Checked", "Reloaded", "Verified"
    ]  # fmt: skip
    assert not page.find("html")


async def test_nothing_is_said_of_a_save_that_has_not_begun(vera: httpx2.AsyncClient) -> None:
    answer = await vera.get(f"/saves/{uuid.uuid4().hex}")

    assert (answer.status_code, answer.content) == (204, b"")


async def test_a_long_list_is_read_with_its_lines_counted(
    vera: httpx2.AsyncClient, ada: httpx2.AsyncClient, panel: Panel
) -> None:
    """Also without JavaScript, on a page that asks again until it is over."""
    key = uuid.uuid4().hex
    assert (await vera.get(f"/saves/{key}/progress")).headers["refresh"] == "1"
    with panel.changes.saves.reading(key) as progress:
        progress.read(40_000, 100_000)
        pages = [await vera.get(place) for place in (f"/saves/{key}", f"/saves/{key}/progress")]
    assert ["Reading, 40,000 of 100,000 lines" in page.text for page in pages] == [True, True]

    bad, good = "192.0.2.1\n" * 5_000 + "x", "192.0.2.1\n" * 5_000
    assert "Reading failed" in await steps_of(ada, an_address_list(entries=bad, save_key=key))
    ended = await steps_of(ada, an_address_list(entries=good, save_key=key))
    assert [word for word in ("Read", "Rendered", "Verified") if word in ended.split()] == [
        "Read",
        "Rendered",
        "Verified",
    ]
    assert "refresh" not in (await vera.get(f"/saves/{key}/progress")).headers


async def steps_of(ada: httpx2.AsyncClient, form: dict[str, Any]) -> str:
    await ada.post("/access/lists", data=form)
    return read((await ada.get(f"/saves/{form['save_key']}")).text).text


@pytest.mark.parametrize("key", ["x", "A" * 32, "0" * 65, "%2e%2e"])
@pytest.mark.changes_nothing
async def test_what_is_no_key_is_nothing(vera: httpx2.AsyncClient, key: str) -> None:
    assert (await vera.get(f"/saves/{key}")).status_code == 404


async def test_the_same_key_twice_is_one_save(ada: httpx2.AsyncClient, panel: Panel) -> None:
    form = a_policy(save_key=uuid.uuid4().hex)

    first, second = await ada.post("/policies", data=form), await ada.post("/policies", data=form)

    assert first.headers["location"] == second.headers["location"] == "/policies/2"


async def test_the_live_line_names_the_revision(vera: httpx2.AsyncClient) -> None:
    page = read((await vera.get("/live")).text)

    assert "Revision 1 is live" in page.text
    assert not page.find("html")


async def test_a_save_says_once_how_it_ended(ada: httpx2.AsyncClient) -> None:
    answer = await ada.post("/policies", data=a_policy())
    first, second = await ada.get(answer.headers["location"]), await ada.get(answer.headers["location"])

    assert "as revision 2" in toast(first)
    assert toast(second) == ""


def toast(answer: httpx2.Response) -> str:
    return (
        answer.text.partition('id="toasts"')[2]
        .partition("shortcuts")[0]
        .partition(">")[2]
        .partition("</div>\n")[0]
        .strip()
    )


async def test_a_forged_flash_is_only_text(ada: httpx2.AsyncClient) -> None:
    for forged in (
        '{"text": "<img src=x>", "undo_url": "//evil.example"}',
        "{",
        "[]",
        '"x"',
        "null",
        '{"text": null}',
        "%ff",
    ):
        ada.cookies.set(
            "gp_flash", forged.replace('"', "%22").replace("<", "%3C").replace(",", "%2C"), domain="panel.test"
        )
        answer = await ada.get("/policies")
        page = read(answer.text)
        assert answer.status_code == 200
        assert not page.find("img")
        assert "evil.example" not in answer.text
