"""HTTP/3 in the browser, on every HAProxy that serves it. None that `make test` has does."""

import base64
import hashlib
from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from playwright.sync_api import BrowserType, Page, expect

from tests.e2e.conftest import FLAGS, chromium, log_in
from tests.e2e.test_https import LIVE, served
from tests.haproxies import HTTP3_VERSIONS, haproxy_binary
from tests.live.test_h2 import QUERY
from tests.panel import Panel, running_panel
from tests.web import Person, a_host, an_account

NAME = "shop.example"

PROTOCOL = "performance.getEntriesByType('navigation')[0].nextHopProtocol"


@pytest.fixture(params=HTTP3_VERSIONS)
def panel(request: pytest.FixtureRequest) -> Iterator[Panel]:
    with running_panel(haproxy_binary(request.param)) as running:
        an_account(running)
        yield running


@pytest.mark.skipif(not HTTP3_VERSIONS, reason="only in `make nightly`")
def test_visitors_load_pages_over_http_3_once_it_is_turned_on(
    quiet_page: Page, browser_type: BrowserType, panel: Panel, origin: int
) -> None:
    with Person(panel) as ada:
        ada.post("/virtual-hosts", a_host(origin, hostnames=NAME, https="on", enforcement_mode="block"))
    log_in(quiet_page, panel)
    quiet_page.goto(f"{panel.url}/system/traffic/edit")
    quiet_page.get_by_label("HTTP/3").check()
    quiet_page.get_by_role("button", name="Save and go live").click()
    expect(quiet_page.get_by_text(LIVE)).to_be_visible()

    visitors = browser_type.launch(executable_path=chromium(), args=flags(panel))
    page, url = visitors.new_page(), f"https://{NAME}:{panel.https_port}"
    answers = [(page.goto(f"{url}{path}"), page.evaluate(PROTOCOL)) for path in ("/", QUERY)]

    assert [(answer and answer.status, protocol) for answer, protocol in answers] == [(200, "h3"), (403, "h3")]
    visitors.close()


def flags(panel: Panel) -> list[str]:
    """Of a browser that needs no Alt-Svc: it follows that only with a certificate of an authority that it was made with."""
    key = x509.load_der_x509_certificate(served(panel, NAME)).public_key()
    encoded = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return [
        *(flag for flag in FLAGS if flag != "--disable-quic"),
        f"--origin-to-force-quic-on={NAME}:{panel.https_port}",
        f"--ignore-certificate-errors-spki-list={base64.b64encode(hashlib.sha256(encoded).digest()).decode()}",
        f"--host-resolver-rules=MAP {NAME} 127.0.0.1",
    ]
