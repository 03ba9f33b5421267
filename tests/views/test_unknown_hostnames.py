"""The virtual host that answers unknown hostnames, on pages."""

import httpx2
import pytest

from tests.factories import a_virtual_host
from tests.html import read

pytestmark = pytest.mark.anyio


async def test_pages_say_which_virtual_host_answers_unknown_hostnames(ada: httpx2.AsyncClient) -> None:
    assert "Answered by no virtual host: 421" in read((await ada.get("/system/traffic")).text).text
    await ada.post("/virtual-hosts", data=a_virtual_host("rest.example", answers_unknown="on"))

    assert "and unknown hostnames" in read((await ada.get("/virtual-hosts/1")).text).text
    assert "unknown hostnames" in read((await ada.get("/virtual-hosts")).text).text
    assert "Answered by rest.example" in read((await ada.get("/system/traffic")).text).text
    assert "Requests for unknown hostnames will return 421." in (await ada.get("/virtual-hosts/1/delete")).text

    await ada.post("/virtual-hosts/1", data=a_virtual_host("rest.example", answers_unknown="on", enabled=None))
    assert "unknown hostnames, once enabled" in read((await ada.get("/virtual-hosts/1")).text).text
    assert "Answered by no virtual host: 421" in read((await ada.get("/system/traffic")).text).text


async def test_only_one_virtual_host_answers_them(ada: httpx2.AsyncClient) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host("rest.example", answers_unknown="on"))

    refused = await ada.post("/virtual-hosts", data=a_virtual_host("other.example", answers_unknown="on"))

    assert refused.status_code == 409
    assert "rest.example has this already. Turn it off there first." in read(refused.text).text
    await ada.post("/virtual-hosts", data=a_virtual_host("other.example"))
    deleting = read((await ada.get("/virtual-hosts/2/delete")).text).text
    assert "Requests for other.example will go to rest.example , which answers unknown hostnames." in deleting
