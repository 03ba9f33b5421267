"""The form and the page of a virtual host: what it does with requests and responses."""

import httpx2
import pytest

from guardpanel.models.delivery.security_headers import SECURITY_LINES
from tests.factories import a_virtual_host
from tests.html import read

pytestmark = pytest.mark.anyio

WHOLE = {
    "security_headers": "always",
    "cors_origins": "https://app.example",
    "cors_credentials": "on",
    "server_host": "app.internal:8080",
    "server_protocol": "http2",
    "upgrades": "SPDY/3.1",
    "streaming": "on",
    "sticky_sessions": "cookie",
    "sticky_cookie": "app-server",
    "compression": "on",
    "compression_types": "text/css\ntext/html",
}


async def test_it_is_on_the_virtual_hosts_page_and_in_its_form(ada: httpx2.AsyncClient) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host("shop.example", **WHOLE))

    page = read((await ada.get("/virtual-hosts/1")).text).text
    for words in (
        "recommended, in place of",
        "https://app.example with credentials",
        "app.internal:8080",
        "app-server",
        "SPDY/3.1",
        "Protocol to servers HTTP/2",
        "not inspected The policy does not allow application/grpc, so it stops gRPC.",
        "BREACH risk",
    ):
        assert words in page
    form = (await ada.get("/virtual-hosts/1/edit")).text
    assert all(line in read(form).text for line in SECURITY_LINES)
    assert "Scripts of any site" not in form

    await ada.post("/virtual-hosts/1", data=a_virtual_host("shop.example", version="1", cors_origins="*"))
    page = read((await ada.get("/virtual-hosts/1")).text).text
    assert "any site can read responses" in page
    assert "BREACH" not in page
    assert "Scripts of any site" in (await ada.get("/virtual-hosts/1/edit")).text


async def test_a_refused_field_is_opened_with_what_was_typed(ada: httpx2.AsyncClient) -> None:
    typed = WHOLE | {"cors_origins": "*", "compression_types": "css", "server_timeout": "0", "server_host": "a b"}
    typed |= {"upgrades": "h2c", "sticky_cookie": "a b", "sticky_same_site": "none"}
    answer = await ada.post("/virtual-hosts", data=a_virtual_host("shop.example", **typed))

    assert answer.status_code == 422
    for field in (
        "cors_credentials",
        "compression_types",
        "server_timeout",
        "server_host",
        "sticky_cookie",
        "sticky_same_site",
        "upgrades",
    ):
        assert f'id="f-{field}-error"' in answer.text
    assert 'value="a b"' in answer.text


async def test_a_new_header_rule_starts_with_what_is_usual(ada: httpx2.AsyncClient) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host("shop.example"))
    form = (await ada.get("/virtual-hosts/1/headers/new")).text

    assert 'name="position" value="100"' in " ".join(form.split()).replace(' aria-describedby="f-position-hint"', "")
    assert '<option value="response" selected>' in form
