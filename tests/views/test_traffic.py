"""The traffic settings: seen, edited, refused with words at the field, merged."""

import re
from dataclasses import replace

import pytest

from guardpanel.listen_addresses import bind_text
from guardpanel.panel import Panel
from guardpanel.services import traffic
from tests.conftest import Person
from tests.factories import a_traffic
from tests.html import read

pytestmark = pytest.mark.anyio

LISTENER = {"proxy_protocol": "off", "proxy_networks": "", "scheme": "http"}


def a_form(page: str, **others: str) -> dict[str, str]:
    """The form for the listeners that there are: of HTTP, and of HTTPS, whose scheme nobody can choose."""
    hidden = re.findall(r'<input type="hidden" name="(listeners[.][0-9]+[.]\w+)" value="(.*?)"', page)
    assert len(hidden) == 3
    typed = {f"listeners.{at}.{name}": value for at in (0, 1) for name, value in LISTENER.items()}
    return a_traffic(**(typed | dict(hidden) | others))


async def test_a_save_is_shown_and_in_the_history(ada: Person) -> None:
    form = a_form((await ada.get("/system/traffic/edit")).text, client_ip_source="x_forwarded_for",
                  trusted_networks="10.0.0.0/8", **{"listeners.0.proxy_protocol": "required",
                                                    "listeners.0.proxy_networks": "192.0.2.7"})  # fmt: skip

    saved = await ada.post("/system/traffic", data=form)

    assert saved.headers["location"] == "/system/traffic"
    page = (await ada.get("/system/traffic")).text
    assert "10.0.0.0/8" in page
    assert "192.0.2.7" in page
    assert "Client limits unknown: HAProxy is not responding" in read(page).text
    assert "Traffic settings: client IP source connection → X-Forwarded-For" in page
    changes = (await ada.get("/changes?noun=traffic&id=1")).text
    assert 'href="/system/traffic"' in changes
    newest = changes.split('href="/changes/')[1].split('"')[0]
    assert "PROXY protocol required from 192.0.2.7" in (await ada.get(f"/changes/{newest}")).text


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"trusted_networks": "10.0.0.0/8\n10.0.0.1/8"}, "Line 2: 10.0.0.1/8 has host bits set. Enter 10.0.0.0/8."),
        ({"trusted_networks": "proxy.example"}, "Line 1: proxy.example is not an IP address"),
        ({"trusted_networks": "10.0.0.0-10.0.0.7"}, "Enter networks: 10.0.0.0/29."),
        ({"trusted_networks": "0.0.0.0/0"}, "is too large"),
        ({"trusted_networks": "::/0"}, "is too large"),
        ({"trusted_networks": "fe80::1%eth0"}, "has a zone"),
        ({"client_ip_source": "x_forwarded_for"}, "Enter your proxies’ networks."),
        ({"client_ip_source": "header", "trusted_networks": "10.0.0.1"}, "Enter the header"),
        ({"client_ip_header": "cookie"}, "does not contain the client IP"),
        ({"client_ip_header": "x y"}, "is not a header name"),
        ({"client_ip_header": "X-Forwarded-For"}, "Select X-Forwarded-For as the source"),
        ({"forwarded_hops": "11"}, "At most 10."),
        ({"max_connections": "9"}, "Enter 10 or more, or 0. A browser opens 6 for one page."),
        ({"max_requests_per_client": "5"}, "Enter 6 or more, or 0. A browser opens 6 for one page."),
        ({"listeners.0.proxy_protocol": "required"}, "Enter the networks that use the PROXY protocol"),
        ({"listeners.0.proxy_networks": "1.2.3"}, "Line 1: 1.2.3 is not an IP address"),
        ({"listeners.0.address": "127.0.0.9:9", "listeners.0.scheme": "https"}, "HAProxy does not listen on 127.0.0.9:9"),
    ],
)  # fmt: skip
@pytest.mark.changes_nothing
async def test_what_cannot_be_is_refused_at_its_field(ada: Person, typed: dict[str, str], words: str) -> None:
    form = a_form((await ada.get("/system/traffic/edit")).text, **typed)

    page = await ada.post("/system/traffic", data=form)

    assert page.status_code == 422
    assert words in page.text
    assert all(value.split("\n")[0] in page.text for value in typed.values())
    (name,) = (
        list(typed)[-1:]
        if "client_ip_source" not in typed
        else ["trusted_networks" if words.startswith("Enter your") else "client_ip_header"]
    )
    name = "listeners.0.proxy_networks" if name == "listeners.0.proxy_protocol" else name
    name = "listeners.0.address" if "listeners.0.address" in typed else name
    assert f'id="f-{name}-error"' in page.text


async def test_a_form_that_is_behind_shows_both_values(ada: Person) -> None:
    form = a_form((await ada.get("/system/traffic/edit")).text, version="1")
    await ada.post("/system/traffic", data={**form, "trusted_networks": "10.0.0.0/8"})

    page = await ada.post("/system/traffic", data={**form, "trusted_networks": "192.0.2.0/24", "save_key": "0" * 32})

    assert page.status_code == 412
    assert 'name="take.trusted_networks"' in page.text
    assert "10.0.0.0/8" in page.text
    assert 'name="take.listeners"' not in page.text


async def test_a_listener_of_https_takes_the_proxy_protocol_and_no_other_scheme(ada_api: Person, panel: Panel) -> None:
    address = bind_text(*panel.settings.https_binds[0])
    listener = {"address": address, "proxy_protocol": "trusted", "proxy_networks": ["192.0.2.7"], "http2": False}

    refused = await ada_api.patch("/api/v1/traffic", json={"listeners": [{**listener, "scheme": "http"}]})
    assert refused.status_code == 422
    assert f"Select HTTPS: visitors of {address} always use TLS." in refused.text
    assert [error["field"] for error in refused.json()["errors"]] == ["listeners.0.scheme"]
    refused = await ada_api.patch("/api/v1/traffic", json={"listeners": [{**listener, "http2": True}]})
    assert [error["field"] for error in refused.json()["errors"]] == ["listeners.0.http2"]
    for sent in (listener, {**listener, "scheme": "https"}):
        saved = await ada_api.patch("/api/v1/traffic", json={"listeners": [sent]})
        assert {**listener, "scheme": "https"} in saved.json()["listeners"], saved.text

    await ada_api.patch("/api/v1/traffic", json={"listeners": [{"address": address}]})
    async with panel.changes.database.read() as session:
        assert (await traffic.find(session)).listeners == [], "nothing is left that was set"


async def test_a_viewer_sees_and_does_not_edit(vera: Person) -> None:
    page = await vera.get("/system/traffic")

    assert page.status_code == 200
    assert "/system/traffic/edit" not in page.text
    assert (await vera.get("/system/traffic/edit")).status_code == 403


async def test_a_listener_that_the_settings_do_not_name_for_now_keeps_its_own(ada: Person, panel: Panel) -> None:
    form = a_form((await ada.get("/system/traffic/edit")).text, **{
        "listeners.0.proxy_protocol": "required", "listeners.0.proxy_networks": "192.0.2.7"})  # fmt: skip
    await ada.post("/system/traffic", data=form)
    facts = panel.changes.renderer.facts
    panel.changes.renderer.facts = replace(facts, http_binds=(("127.0.0.1", 9),))
    other = a_form((await ada.get("/system/traffic/edit")).text, version="2", max_connections="100")

    saved = await ada.post("/system/traffic", data=other)

    panel.changes.renderer.facts = facts
    assert saved.status_code == 303
    page = (await ada.get("/system/traffic")).text
    assert "192.0.2.7" in page
