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

    assert "From then on alone.example gets 421." in page.text
    assert "z.wild.example is then answered by *.wild.example of Tenants" in page.text


async def test_where_the_wildcard_is_switched_off_or_its_own_nobody_takes_over(ada: httpx2.AsyncClient) -> None:
    other = await make(ada, "*.wild.example")
    off = a_virtual_host("*.wild.example", version="1", enabled=None)
    assert (await ada.post(other, data=off)).status_code == 303
    z = await make(ada, "z.wild.example\na.own.example\n*.own.example")

    page = read((await ada.get(f"{z}/delete")).text)

    assert "From then on z.wild.example, a.own.example, *.own.example get 421." in page.text
    assert "then answered by" not in page.text
