"""Path bindings next to what a virtual host asks of all its paths: HTTPS, client certificates, inspected responses, the maintenance
page, a login. Each after a reload, and in `make nightly` after a restart of HAProxy."""

import base64
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.certificates.made import intermediate, made
from tests.certificates.test_client_cas import whole
from tests.live.origins import Origin
from tests.live.stack import Stack
from tests.live.tls import context, handshake
from tests.live.wire import Response, head
from tests.rows import rows

ATTACK = "?q=1%27%20OR%20%271%27%3D%271"
LEAK = b"<p>You have an error in your SQL syntax; check the manual for your MySQL server version</p>"
ADA = base64.b64encode(b"ada:correct horse").decode()

HOSTS: dict[str, dict[str, Any]] = {
    "moved.test": {"https_redirect": True},
    "must.test": {"client_certificates": "required", "client_ca_id": 1},
    "may.test": {"client_certificates": "optional", "client_ca_id": 1},
    "closed.test": {"maintenance": True},
    "staff.test": {"client_certificates": "required", "client_ca_id": 1, "requires_login": True},
    "reads.test": {"policy": "Reads"},
}

PATHS: list[dict[str, Any]] = [
    {"path": "/strict", "policy": "Strict"},
    {"path": "/reads", "policy": "Reads"},
    {"path": "/deaf", "policy": "Watch"},
    {"path": "/old", "redirect": "302", "redirect_to": "/new", "redirect_rest": True},
    {"path": "/closed", "policy": "Strict", "requires_login": True},
]


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ada = made(by=intermediate(), common_name="ada", kind="client", days=(-1, 9))
    path = tmp_path_factory.mktemp("client") / "ada.pem"
    path.write_text(ada.pem + intermediate().pem + ada.key_pem)
    return path


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(
        LEAK
    )
    for path in ("/leak", "/reads/leak", "/deaf/leak", "/closed/leak"):
        server.answers[path] = [answer + LEAK]
    common = {"servers": [{"address": server.address}], "health_check": False, "https": True, "policy": "Watch"}
    hosts = {name: {**common, **fields} for name, fields in HOSTS.items()}
    reads = {"enforcement_mode": "block", "response_inspection": True}
    policies: dict[str, dict[str, Any]] = {"Watch": {}, "Strict": {"enforcement_mode": "block"}, "Reads": reads}
    numbers = {name: at for at, name in enumerate(policies, 1)}
    paths = []
    for at in range(1, len(hosts) + 1):
        for bound in PATHS:
            fields = {name: value for name, value in bound.items() if name != "policy"}
            policy = {"policy_id": numbers[bound["policy"]]} if "policy" in bound else {}
            paths.append({"virtual_host_id": at, **fields, **policy})
    logins = [{"name": "ada", "password": "correct horse", "virtual_host_id": at} for at in range(1, len(hosts) + 1)]
    cas = [{"name": "Staff", "certificates": whole()}]
    given = rows(policies, hosts, paths=paths, client_cas=cas, logins=logins)
    with Stack(haproxy, given) as running:
        running.again(given)
        yield running


def ask(stack: Stack, host: str, target: str, pem: Path | None = None, **headers: str) -> Response:
    """Over HTTPS, as a visitor."""
    request = head("GET", host, target, {"user-agent": "Mozilla/5.0", "accept": "*/*", **headers})
    with handshake(stack.tls_address, host, context(certificate=str(pem) if pem else "")) as connection:
        connection.sendall(request)
        return stack.answer(connection, request)


def plainly(stack: Stack, host: str, target: str) -> Response:
    return stack.send(head("GET", host, target, {"user-agent": "Mozilla/5.0", "accept": "*/*"}))


@pytest.mark.parametrize("target", ["/", "/strict/x", f"/strict/x{ATTACK}", "/old/x?y=1", "/closed", "/old/%2e%2e/x"])
def test_http_is_redirected_before_a_path_is_looked_at(stack: Stack, target: str) -> None:
    answer = plainly(stack, "moved.test", target)

    port = stack.tls_address[1]
    assert (answer.status, answer.headers["location"]) == (308, f"https://moved.test:{port}{target}")


@pytest.mark.parametrize("host", ["moved.test", "must.test", "may.test"])
def test_paths_have_their_own_policies_and_redirects_over_https(stack: Stack, pem: Path, host: str) -> None:
    def status(target: str, **headers: str) -> int:
        return ask(stack, host, target, pem, **headers).status

    assert [status(f"{path}{ATTACK}") for path in ("/", "/strict", "/strict/x", "//strict", "/stricter")] == [
        200, 403, 403, 403, 200,
    ]  # fmt: skip
    assert [status(path) for path in ("/strict/../x", "/closed", "/closed/x")] == [400, 401, 401]
    assert status("/closed/x", authorization=f"Basic {ADA}") == 200
    assert status(f"/closed/x{ATTACK}", authorization=f"Basic {ADA}") == 403
    moved = ask(stack, host, "/old/x?y=1", pem)
    assert (moved.status, moved.headers["location"]) == (302, "/new/x?y=1")


@pytest.mark.parametrize("target", ["/", "/strict", "/old/x", "/closed", "/strict/../x"])
def test_without_a_certificate_no_path_answers(stack: Stack, target: str) -> None:
    """HTTP, where there is none, leads to HTTPS, whatever the path is bound to."""
    for host in ("must.test", "staff.test"):
        with pytest.raises(ssl.SSLError):
            ask(stack, host, target)
        answer = plainly(stack, host, target)
        assert (answer.status, answer.headers["location"]) == (308, f"https://{host}:{stack.tls_address[1]}{target}")


def test_a_certificate_and_a_login_are_both_needed(stack: Stack, pem: Path) -> None:
    login = {"authorization": f"Basic {ADA}"}

    for target in ("/", "/strict/x", "/closed/x"):
        assert ask(stack, "staff.test", target, pem).status == 401
        assert ask(stack, "staff.test", target, pem, **login).status == 200
    assert ask(stack, "staff.test", f"/strict{ATTACK}", pem, **login).status == 403
    assert ask(stack, "staff.test", f"/strict{ATTACK}", pem).status == 403  # The WAF comes before the login.
    assert ask(stack, "staff.test", "/old", pem).status == 302


@pytest.mark.parametrize("target", ["/", "/strict/x", "/reads/leak", "/closed", f"/strict{ATTACK}"])
def test_the_maintenance_page_is_of_all_paths(stack: Stack, target: str) -> None:
    answer = ask(stack, "closed.test", target)

    assert answer.status == 503
    assert "Under maintenance" in answer.text
    assert ask(stack, "closed.test", "/old/x").status == 302


@pytest.mark.parametrize(
    ("host", "target", "status"),
    [
        ("moved.test", "/leak", 200),
        ("moved.test", "/deaf/leak", 200),
        ("moved.test", "/reads/leak", 403),
        ("must.test", "/reads/leak", 403),
        ("staff.test", "/reads/leak", 403),
        ("reads.test", "/leak", 403),
        ("reads.test", "/reads/leak", 403),
        ("reads.test", "/deaf/leak", 200),
        ("reads.test", "/closed/leak", 200),
    ],
)
def test_responses_are_inspected_by_the_policy_of_their_path(
    stack: Stack, pem: Path, host: str, target: str, status: int
) -> None:
    answer = ask(stack, host, target, pem, authorization=f"Basic {ADA}")

    assert answer.status == status
    assert (LEAK in answer.body) is (status == 200)
