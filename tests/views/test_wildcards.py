"""A name under another's wildcard: deleting hands it over, and that is said before it is done; switching off does not."""

import httpx2
import pytest

from tests.factories import a_virtual_host
from tests.html import read

pytestmark = pytest.mark.anyio


async def make(ada: httpx2.AsyncClient, hostnames: str, **others: str) -> str:
    answer = await ada.post("/virtual-hosts", data=a_virtual_host(hostnames, **others))
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


async def test_deleting_says_which_wildcard_takes_over(ada: httpx2.AsyncClient) -> None:
    await make(ada, "*.wild.example", name="Tenants")
    z = await make(ada, "z.wild.example\nalone.example", name="Z")

    page = read((await ada.get(f"{z}/delete")).text)

    assert "Requests for alone.example will return 421." in page.text
    assert "*.wild.example takes over z.wild.example: requests go to Tenants" in page.text


async def test_a_disabled_or_own_wildcard_takes_over_nothing(ada: httpx2.AsyncClient) -> None:
    other = await make(ada, "*.wild.example")
    off = a_virtual_host("*.wild.example", version="1", enabled=None)
    assert (await ada.post(other, data=off)).status_code == 303
    z = await make(ada, "z.wild.example\na.own.example\n*.own.example")

    page = read((await ada.get(f"{z}/delete")).text)

    assert "Requests for z.wild.example, a.own.example, *.own.example will return 421." in page.text
    assert "takes over" not in page.text


async def test_removing_a_name_says_which_wildcard_takes_over_before_it_is_saved(ada: httpx2.AsyncClient) -> None:
    await make(ada, "*.wild.example", name="Tenants")
    z = await make(ada, "z.wild.example\nalone.example", name="Z")
    typed = a_virtual_host("alone.example", name="Z", version="1")

    question = await ada.post(z, data=typed)
    before = read((await ada.get(f"{z}/edit")).text).value("hostnames")
    saved = await ada.post(z, data={**typed, "hand_over": "on", "save_key": "1" * 32})

    page = read(question.text)
    assert question.status_code == 409
    assert "This save hands over z.wild.example to *.wild.example of Tenants" in page.text
    assert page.find("button", name="hand_over")
    assert before.split() == ["z.wild.example", "alone.example"]
    assert saved.status_code == 303
    assert read((await ada.get(f"{z}/edit")).text).value("hostnames").split() == ["alone.example"]


async def test_removing_a_hostname_without_a_wildcard_asks_nothing(ada: httpx2.AsyncClient) -> None:
    z = await make(ada, "z.wild.example\n*.wild.example\nalone.example", name="Z")

    saved = await ada.post(z, data=a_virtual_host("*.wild.example", name="Z", version="1"))

    assert saved.status_code == 303
