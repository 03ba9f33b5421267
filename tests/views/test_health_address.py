"""The health address on the pages of the traffic settings."""

import httpx2
import pytest

from tests.html import read
from tests.views.test_traffic import a_form

pytestmark = pytest.mark.anyio

ASKS = {"health_path": "/up", "health_networks": "10.0.0.0/8"}


async def test_the_page_says_what_it_returns(ada: httpx2.AsyncClient) -> None:
    form = a_form((await ada.get("/system/traffic/edit")).text, **ASKS)
    await ada.post("/system/traffic", data=form)
    page = read((await ada.get("/system/traffic")).text).text
    assert "Path /up Health checks from 10.0.0.0/8 Returns 200, or 503 without the WAF agent" in page

    await ada.post("/system/traffic", data=form | {"health_drain": "on", "version": "2"})

    assert "503, draining" in read((await ada.get("/system/traffic")).text).text


@pytest.mark.changes_nothing
@pytest.mark.parametrize(
    ("field", "typed", "words"),
    [
        ("health_networks", {"health_networks": ""}, "Enter the load balancers’ addresses or networks."),
        ("health_networks", {"health_networks": "0.0.0.0/0"}, "hosts of others would be trusted, too"),
        ("health_path", {"health_path": "up"}, "Start the path with /."),
        ("health_path", {"health_path": "/"}, "Start the path with /."),
        ("health_path", {"health_path": "//up"}, "Start the path with /."),
        ("health_path", {"health_path": "/login/../x"}, "without //, . and .. segments"),
        ("health_path", {"health_path": "/a//b"}, "without //, . and .. segments"),
        ("health_path", {"health_path": "/up?a"}, "Start the path with /."),
        ("health_path", {"health_path": "/" + "x" * 101}, "100 at most"),
    ],
)
async def test_bad_input_comes_back_at_its_field(
    ada: httpx2.AsyncClient, field: str, typed: dict[str, str], words: str
) -> None:
    form = a_form((await ada.get("/system/traffic/edit")).text, **ASKS | typed)

    refused = await ada.post("/system/traffic", data=form)

    assert refused.status_code == 422
    page = read(refused.text)
    assert page.error_at(field) and words in page.text
