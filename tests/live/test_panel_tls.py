"""`guardpanel up` that serves HTTPS itself: what it prints, sets and serves, and a certificate exchanged while pages are open.

For that it needs no HAProxy with TLS. None of the builds at hand lacks it, so a script says for one of them that it does: that is told at
start, by doctor, and at the field before a save fails.
"""

import re
import socket
import ssl
from collections.abc import Iterator

import httpx2
import pytest

from tests.certificates.made import intermediate, leaf
from tests.live import tls
from tests.panel import Panel, running_panel
from tests.web import Person, a_host, an_account

pytestmark = pytest.mark.one_haproxy

WITHOUT = """#!/bin/sh
[ "$1 $2" != "-cc feature(OPENSSL)" ] || exit 1
exec {binary} "$@"
"""

WORDS = "This HAProxy was built without TLS (OpenSSL)."


@pytest.fixture(scope="module")
def panel(haproxy: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    binary = tmp_path_factory.mktemp("bin") / "haproxy"
    binary.write_text(WITHOUT.format(binary=haproxy))
    binary.chmod(0o755)
    with running_panel(str(binary), tls=True) as running:
        yield running


@pytest.fixture(scope="module")
def ada(panel: Panel) -> Iterator[Person]:
    an_account(panel)
    with Person(panel) as person:
        yield person


def served(panel: Panel, name: str | None) -> bytes:
    return tls.leaf(("127.0.0.1", panel.port), name)


def test_the_first_start_prints_https_and_the_fingerprint(panel: Panel, ada: Person) -> None:
    output = panel.output.read_text()
    [fingerprint] = re.findall(r"New self-signed certificate, SHA-256 ((?:[0-9A-F]{2}:){31}[0-9A-F]{2})\n", output)

    assert f"Panel     {panel.url}\n" in output
    assert panel.setup_link.startswith(panel.url)
    assert f"http://127.0.0.1:{panel.port}" not in output
    system = ada.client.get("/system").text
    assert fingerprint in system and "The panel’s certificate fails" not in system
    doctor = panel.command("doctor", code=1)
    assert f"SHA-256 {fingerprint}" in doctor
    assert f"missing  HTTPS: {WORDS}" in doctor
    assert f"guardpanel: HTTPS: {WORDS}" in output
    assert WORDS in system
    assert panel.command("health") == ""


def test_cookies_are_bound_to_the_host_and_there_is_no_hsts(panel: Panel, ada: Person) -> None:
    page = ada.client.get("/")

    assert [(cookie.name, cookie.secure, cookie.path) for cookie in ada.client.cookies.jar] == [
        ("__Host-gp_session", True, "/")
    ]
    assert page.status_code == 200
    assert "strict-transport-security" not in page.headers


def test_plain_http_gets_no_answer(panel: Panel) -> None:
    with socket.create_connection(("127.0.0.1", panel.port), 60) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: panel.test\r\n\r\n")

        assert plain.recv(1000) == b""


def test_a_certificate_of_the_store_is_used_at_once(panel: Panel, ada: Person) -> None:
    before, other = served(panel, "panel.test"), leaf("panel.test")
    with tls.handshake(("127.0.0.1", panel.port), "panel.test") as open_before:
        added = ada.client.post(
            "/certificates",
            data={
                "name": "panel",
                "source": "upload",
                "certificate": other.pem + intermediate().pem,
                "private_key": other.key_pem,
                "save_key": "0" * 32,
            },
        )
        assert added.status_code == 200 and "/certificates/1" in str(added.url), added.text

        assert (served(panel, "panel.test"), served(panel, None), served(panel, "x.test")) == (
            other.der,
            before,
            before,
        )
        open_before.sendall(b"GET /healthz HTTP/1.1\r\nHost: panel.test\r\n\r\n")
        assert open_before.recv(1000).startswith(b"HTTP/1.1 200 ")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with tls.handshake(("127.0.0.1", panel.port), "panel.test", tls.context(version)) as connection:
            assert connection.getpeercert(binary_form=True) == other.der
    metrics = httpx2.get(f"{panel.url}/metrics", verify=panel.trusted).text
    assert 'guardpanel_certificate_not_after_timestamp_seconds{certificate="",id="panel"}' in metrics


def test_https_of_visitors_is_refused_in_words(ada: Person) -> None:
    refused = ada.post("/virtual-hosts", {**a_host(9, hostnames="shop.example"), "https": "on"})
    saved = ada.post("/virtual-hosts", a_host(9, hostnames="shop.example"))

    assert (refused.status, refused.errors["https"].startswith(WORDS)) == (422, True)
    assert saved.status == 200
