"""The pages of header rules."""

import httpx2
import pytest

from tests.factories import a_header_rule, a_vhost, a_virtual_host
from tests.fakes import FakeEngines
from tests.html import read

pytestmark = pytest.mark.anyio

PLACE = "/virtual-hosts/1/headers"


def headers(engines: FakeEngines) -> list[str]:
    """What is done to headers in the virtual host's section."""
    assert engines.running is not None
    backend = engines.running.files["haproxy.cfg"].decode().partition("\nbackend be_1")[2].partition("\nbackend")[0]
    return [line.strip() for line in backend.split("\n") if "-header " in line]


async def test_one_is_added_shown_edited_and_deleted(ada: httpx2.AsyncClient, engines: FakeEngines) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host("shop.example"))
    made = await ada.post(PLACE, data=a_header_rule(value="noindex, 100%", notes="Ask Ada"))
    assert made.headers["location"] == f"{PLACE}/1"
    page = read((await ada.get(f"{PLACE}/1")).text).text
    assert "In responses of the servers, X-Robots-Tag: noindex, 100% replaces all headers of this name." in page
    assert headers(engines) == ["http-response set-header 'X-Robots-Tag' 'noindex, 100%%'"]

    assert f'href="{PLACE}/1"' in (await ada.get("/virtual-hosts/1")).text
    assert f'href="{PLACE}/1"' in (await ada.get("/search?q=robots")).text

    first = a_header_rule(action="remove", header="Server", value="", position="1")
    await ada.post(PLACE, data=first)
    await ada.post(
        f"{PLACE}/1", data=a_header_rule(direction="request", action="add", value="{client_ip}", version="1")
    )
    assert headers(engines) == [
        "http-response del-header 'Server'",
        "http-request add-header 'X-Robots-Tag' '%[src]'",
    ]
    page = read((await ada.get("/virtual-hosts/1")).text).text
    assert page.index("Remove Server") < page.index("Add X-Robots-Tag")
    changes = read((await ada.get("/changes")).text).text
    assert "shop.example: added header rule Remove Server in responses" in changes

    gone = await ada.post(f"{PLACE}/1/delete", data={"version": "2"})
    assert gone.headers["location"] == "/virtual-hosts/1"
    assert headers(engines) == ["http-response del-header 'Server'"]


OF_REQUESTS = {"direction": "request"}


@pytest.mark.changes_nothing
@pytest.mark.parametrize(
    ("field", "typed", "words"),
    [
        ("header", {"header": ""}, "Enter a header name, such as X-Robots-Tag."),
        ("header", {"header": "X Robots"}, "Use letters, digits, - _ and ."),
        ("header", {"header": "X-Robots: a"}, "Use letters, digits, - _ and ."),
        ("header", {"header": "X-Robots\r\nX"}, "invisible character"),
        ("header", {"header": "x" * 101}, "100 at most"),
        ("header", {"header": "Content-Length"}, "sets Content-Length in responses."),
        ("header", {"header": "Transfer-Encoding", **OF_REQUESTS}, "sets Transfer-Encoding in requests."),
        ("header", {"header": "Connection"}, "sets Connection in responses."),
        ("header", {"header": "X-GP-Verdict"}, "sets X-GP-Verdict in responses."),
        ("header", {"header": "Host", **OF_REQUESTS}, "sets Host in requests."),
        ("header", {"header": "X_Forwarded-Proto", **OF_REQUESTS}, "sets X_Forwarded-Proto in requests."),
        ("header", {"header": "x-real-ip", **OF_REQUESTS}, "sets x-real-ip in requests."),
        ("header", {"header": "X-Request-Id", **OF_REQUESTS}, "sets X-Request-Id in requests."),
        ("header", {"header": "X.SSL.Client.Subject", **OF_REQUESTS}, "sets X.SSL.Client.Subject in requests."),
        ("header", {"header": "Content-Type", **OF_REQUESTS}, "sets Content-Type in requests."),
        ("header", {"header": "Accept-Encoding", **OF_REQUESTS}, "Only removing it is possible."),
        ("value", {"value": ""}, "Enter a value. To send none, choose Remove."),
        ("value", {"action": "remove"}, "Remove takes all values."),
        ("value", {"value": "a\r\nSet-Cookie: a=b"}, "invisible character"),
        ("value", {"value": "é" * 1001}, "At most 2,000 bytes."),
        ("value", {"value": "{client}"}, "{client} is not a variable. There are {client_ip}, {request_id}"),
        ("position", {"position": "0"}, "1"),
        ("action", {"action": "replace"}, "Choose"),
    ],
)
async def test_what_cannot_be_done_is_rejected(
    ada: httpx2.AsyncClient, engines: FakeEngines, field: str, typed: dict[str, str], words: str
) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host("shop.example"))
    answer = await ada.post(PLACE, data=a_header_rule(**typed))

    assert answer.status_code == 422
    assert f'id="f-{field}-error"' in answer.text
    assert words in read(answer.text).text
    assert headers(engines) == []


async def test_hsts_is_set_in_one_place(ada: httpx2.AsyncClient, engines: FakeEngines) -> None:
    secure = {"https": "on", "save_anyway": "on"}
    await ada.post("/virtual-hosts", data=a_virtual_host("shop.example", hsts_seconds="300", **secure))
    rule = a_header_rule(header="Strict-Transport-Security", value="max-age=300; preload")

    assert "HSTS sets it. Set that to 0 first." in read((await ada.post(PLACE, data=rule)).text).text

    await ada.post("/virtual-hosts/1", data=a_virtual_host("shop.example", version="1", **secure))
    assert (await ada.post(PLACE, data=rule)).status_code == 303
    again = a_virtual_host("shop.example", version="2", hsts_seconds="300", **secure)
    answer = await ada.post("/virtual-hosts/1", data=again)
    assert 'id="f-hsts_seconds-error"' in answer.text
    assert len(headers(engines)) == 1


async def test_the_clients_own_header_is_left_alone(ada_api: httpx2.AsyncClient) -> None:
    await ada_api.post("/api/v1/vhosts", json=a_vhost())
    rule = {"direction": "request", "header": "X_Edge", "value": "{client_ip}"}
    from_edge = {"client_ip_source": "header", "client_ip_header": "x-edge", "trusted_networks": ["10.0.0.0/8"]}
    assert (await ada_api.patch("/api/v1/traffic", json=from_edge)).status_code == 200
    answer = await ada_api.post("/api/v1/vhosts/1/header-rules", json=rule)

    assert "told the client’s address in X_Edge" in answer.text


async def test_there_is_room_for_all_of_them(ada: httpx2.AsyncClient, engines: FakeEngines) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host("shop.example"))
    for number in range(4):
        assert (await ada.post(PLACE, data=a_header_rule(header=f"X-{number}", value="x" * 1_990))).status_code == 303
    assert engines.running is not None
    assert "tune.maxrewrite 9216\n" in engines.running.files["haproxy.cfg"].decode()

    answer = await ada.post(PLACE, data=a_header_rule(value="{hostname}"))
    assert "would add more than 8,192 bytes" in read(answer.text).text
    assert (await ada.post(PLACE, data=a_header_rule(direction="request"))).status_code == 303


async def test_they_go_with_their_virtual_host(ada: httpx2.AsyncClient) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host("shop.example"))
    await ada.post(PLACE, data=a_header_rule())

    assert "1 header rule" in read((await ada.get("/virtual-hosts/1/delete")).text).text
