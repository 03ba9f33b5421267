"""HTTPS in the browser: a certificate with a mistake, then right; one of the local CA; one that is ordered; client certificates."""

import os
import re
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from guardpanel.models.certificates.certificate import is_address
from tests.acme.authority import Pebble
from tests.certificates.made import full_chain, leaf, made, root
from tests.e2e.conftest import log_in
from tests.e2e.test_accessibility import faults
from tests.live.tls import context, handshake
from tests.live.tls import leaf as served_leaf
from tests.panel import Panel, running_panel
from tests.ports import free_port
from tests.web import Person, a_host, an_account

LIVE = re.compile(r"Live in \d+\.\d+ s as revision \d+")

nightly = pytest.mark.skipif("GUARDPANEL_TEST_ALL" not in os.environ, reason="only in `make nightly`")


def served(panel: Panel, name: str | None) -> bytes:
    """The certificate of a new connection, DER."""
    return served_leaf(("127.0.0.1", panel.https_port), name)


def a_host_with_https(panel: Panel, origin: int, name: str) -> str:
    """The page of a virtual host that has no certificate yet."""
    with Person(panel) as ada:
        return ada.post("/virtual-hosts", a_host(origin, hostnames=name, https="on")).url


def upload(page: Page, panel: Panel, origin: int, name: str) -> None:
    """With the key of another certificate, then with its own."""
    host, right, wrong = a_host_with_https(panel, origin, name), leaf(name), made(name, kind="another")
    log_in(page, panel)
    page.goto(host)
    page.get_by_role("link", name="Upload one").click()
    page.locator("#f-certificate").fill(full_chain(name))
    page.locator("#f-private_key").fill(wrong.key_pem)
    page.locator("#f-notes").fill("From the authority of the intranet")
    page.get_by_role("button", name="Add certificate and go live").click()

    expect(page.locator("#f-private_key-error")).to_contain_text(
        "None of the 2 certificates belongs to this private key."
    )
    assert page.locator("#f-certificate").input_value().replace("\r", "").strip() == full_chain(name).strip()
    assert page.locator("#f-notes").input_value() == "From the authority of the intranet"
    assert wrong.key_pem.splitlines()[1] not in page.content()
    assert served(panel, name) != right.der

    page.locator("#f-private_key").fill(right.key_pem)
    page.get_by_role("button", name="Add certificate and go live").click()

    expect(page.get_by_text(LIVE)).to_be_visible()
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    assert served(panel, name) == right.der
    page.goto(host)
    expect(page.get_by_role("link", name="Upload one")).to_have_count(0)


def test_a_certificate_with_the_key_of_another_is_told_at_the_key_and_then_served(
    quiet_page: Page, panel: Panel, origin: int
) -> None:
    upload(quiet_page, panel, origin, "upload.example")


def test_a_certificate_is_uploaded_without_javascript(no_script: Page, panel: Panel, origin: int) -> None:
    upload(no_script, panel, origin, "upload-bare.example")


def test_a_virtual_host_gets_a_certificate_of_the_local_ca_whose_root_is_there_to_download(
    quiet_page: Page, panel: Panel, origin: int, tmp_path: Path
) -> None:
    page, name = quiet_page, "intranet.example"
    log_in(page, panel)
    page.goto(f"{panel.url}/virtual-hosts/new")
    page.get_by_role("textbox", name="Hostnames").fill(name)
    page.get_by_label("Server 1 address").fill(f"127.0.0.1:{origin}")
    page.get_by_text("Get a certificate").click()
    page.get_by_label("From the local CA").check()
    assert faults(page) == []
    page.get_by_role("button", name="Add virtual host and go live").click()

    expect(page.get_by_text(LIVE)).to_be_visible()
    page.get_by_label(f"About {name}").get_by_role("link", name=name).first.click()
    expect(page.get_by_text("Local CA", exact=True).first).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the local CA’s root").click()
    download.value.save_as(tmp_path / "root.pem")

    trusting = ssl.create_default_context(cafile=str(tmp_path / "root.pem"))
    with handshake(("127.0.0.1", panel.https_port), name, trusting) as connection:
        assert ("DNS", name) in (connection.getpeercert() or {})["subjectAltName"]


@pytest.fixture(scope="module")
def ordering() -> Iterator[tuple[Panel, str]]:
    """A panel, and the directory of pebble, an authority on this machine that asks for proofs at its HTTP listener."""
    port = free_port()
    with Pebble(port, free_port()) as pebble:
        environment = {
            "GUARDPANEL_HTTP_BIND": f"127.0.0.1:{port}",
            "GUARDPANEL_ACME_CA_FILE": str(pebble.ca_file),
        }
        with running_panel(environment=environment) as running:
            an_account(running)
            yield running, pebble.url


@nightly
def test_a_new_virtual_host_gets_a_certificate_of_an_authority_and_another_one_when_it_is_renewed(
    quiet_page: Page, ordering: tuple[Panel, str], origin: int
) -> None:
    """By its address: no name server is needed. Port 80 of this machine is not HAProxy's, as preflight says."""
    page, (panel, authority), name = quiet_page, ordering, "127.0.0.1"
    log_in(page, panel)
    page.goto(f"{panel.url}/virtual-hosts/new")
    page.get_by_role("textbox", name="Hostnames").fill(name)
    page.get_by_label("Server 1 address").fill(f"127.0.0.1:{origin}")
    page.get_by_text("Get a certificate").click()
    page.get_by_label("From an authority").check()
    page.locator("#f-new_authority").fill(authority)
    page.get_by_role("button", name="Add virtual host and go live").click()
    expect(page.get_by_text(LIVE)).to_be_visible()
    expect(page.locator("#orders")).to_contain_text("The authority was not asked")
    assert faults(page) == []
    default = served(panel, None)

    page.get_by_label(f"About {name}").get_by_role("link", name=name).first.click()
    page.get_by_role("button", name="Order now").click()

    expect(page.locator("#orders")).to_contain_text(LIVE)
    first = served(panel, None)
    assert first != default
    assert answer(panel, name).startswith(b"HTTP/1.1 200")
    assert faults(page) == []

    page.reload()
    page.get_by_role("button", name="Renew now").click()

    expect(page.locator("#orders")).to_contain_text("Asked for by ada@example.org")
    expect(page.locator("#orders details")).to_have_count(1)
    expect(page.locator("#orders .order-steps").first).to_contain_text(LIVE)
    assert served(panel, None) not in {first, default}

    page.reload()
    page.get_by_role("link", name="Revoke").click()
    assert faults(page) == []
    page.get_by_role("button", name="Revoke certificate").click()
    expect(page.locator("#orders details")).to_have_count(2)


@nightly
def test_visitors_are_asked_for_a_certificate_of_a_pasted_client_ca(
    quiet_page: Page, panel: Panel, origin: int, tmp_path: Path
) -> None:
    page, name = quiet_page, "staff.example"
    host = a_host_with_https(panel, origin, name)
    log_in(page, panel)
    page.goto(f"{panel.url}/client-cas/new")
    page.locator("#f-name").fill("Staff of the browser")
    page.locator("#f-certificates").fill(leaf(name).pem)
    page.get_by_role("button", name="Add client CA and go live").click()
    expect(page.locator("#f-certificates-error")).to_be_visible()
    assert faults(page) == []
    page.locator("#f-certificates").fill(root("Staff").pem)
    page.get_by_role("button", name="Add client CA and go live").click()
    expect(page.get_by_role("heading", name="Staff of the browser")).to_be_visible()

    page.goto(f"{host}/edit")
    page.get_by_role("radio", name="Required").check()
    page.locator("#f-client_ca_id").select_option("Staff of the browser")
    assert faults(page) == []
    page.get_by_role("button", name="Save and go live").click()
    expect(page.get_by_text(LIVE)).to_be_visible()

    visitor = tmp_path / "visitor.pem"
    own = made(common_name="Ada", by=root("Staff"), kind="visitor")
    visitor.write_text(own.pem + own.key_pem)
    assert answer(panel, name, str(visitor)).startswith(b"HTTP/1.1 200")
    with pytest.raises(ssl.SSLError):
        answer(panel, name)


def answer(panel: Panel, name: str, certificate: str = "") -> bytes:
    """The first bytes. Raises SSLError if HAProxy ends the connection: with TLS 1.3 after the handshake."""
    sent = None if is_address(name) else name
    with handshake(("127.0.0.1", panel.https_port), sent, context(certificate=certificate)) as connection:
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        return connection.recv(100)
