"""What the System page says of HAProxy."""

from dataclasses import replace
from datetime import UTC, datetime

import httpx2
import pytest

from guardpanel.engines.tls import panel_certificate
from guardpanel.engines.tls.panel_tls import PanelTls
from guardpanel.panel import Panel
from guardpanel.services.saving import snapshots
from tests.conftest import Person
from tests.factories import a_virtual_host
from tests.html import read

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("fields", "lua", "drops", "is_told"),
    [
        ({}, False, False, True),
        ({"maintenance": "on"}, False, False, False),
        ({}, True, False, False),
        ({}, False, True, False),
    ],
)
async def test_it_says_which_uploads_an_haproxy_without_lua_rejects(
    ada: Person, panel: Panel, fields: dict[str, str], *, lua: bool, drops: bool, is_told: bool
) -> None:
    """Only where some body passes in parts."""
    facts = panel.changes.renderer.facts
    panel.changes.renderer.facts = replace(facts, runs_lua=lua, drops_trailers=drops)
    await ada.post("/virtual-hosts", data=a_virtual_host(**fields))

    assert ("without Lua, this HAProxy" in (await ada.get("/system")).text) is is_told


async def test_it_reads_no_rows_anew_for_the_limits_of_a_revision_that_it_has_shown(
    ada: Person, ada_api: httpx2.AsyncClient, panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host())
    await ada.get("/system")

    with monkeypatch.context() as patch:
        patch.delattr(snapshots, "rows")
        for place in ("/system", "/system/traffic", "/system/traffic/edit"):
            assert (await ada.get(place)).status_code == 200

    assert (await ada_api.patch("/api/v1/traffic", json={"max_connections": 321})).status_code == 200
    assert "321" in read((await ada.get("/system")).text).text
    assert "321" in read((await ada.get("/system/traffic")).text).text


async def test_it_shows_the_panels_own_certificate(ada: Person, panel: Panel) -> None:
    before = read((await ada.get("/system")).text).text
    settings = panel.settings.model_copy(update={"listen_tls": "on"})
    panel.tls = PanelTls(settings, panel_certificate.read(settings, datetime.now(UTC)))
    panel.changes.watch.panel_certificate = "The panel’s certificate has expired. Replace own.pem."
    page, line = read((await ada.get("/system")).text).text, read((await ada.get("/live")).text).text

    assert f"http://{settings.listen}" in before and "none: it serves HTTP" in before
    assert f"https://{settings.listen}" in page and panel.tls.own.fingerprint in page and "Self-signed" in page
    for text in (page, line):
        assert "The panel’s certificate has expired. Replace own.pem." in text
    assert 'id="panel"' in (await ada.get("/metrics")).text


async def test_it_says_what_an_haproxy_lacks(ada: Person, panel: Panel) -> None:
    before = read((await ada.get("/system")).text).text
    panel.changes.renderer.facts = replace(panel.changes.renderer.facts, has_tls=False)
    without = read((await ada.get("/system")).text).text

    panel.changes.renderer.facts = replace(panel.changes.renderer.facts, has_tls=True, no_http3="")
    with_quic = read((await ada.get("/system")).text).text

    assert "HTTP/3 This HAProxy was built without QUIC." in before and "HTTP/3 off" in with_quic
    assert "built without TLS" not in before
    assert "This HAProxy was built without TLS (OpenSSL). Virtual hosts can’t have HTTPS." in without
