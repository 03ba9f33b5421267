"""Client certificates: who gets in with which one, that no session or connection carries one to another name, and what servers get."""

import asyncio
import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from guardpanel.engines.tls.handshakes import first_of
from guardpanel.errors import Conflict
from guardpanel.feed_reach import FeedReach
from guardpanel.models.certificates.certificate import CertificateFields, Source
from guardpanel.models.certificates.client_ca import ClientCaFields
from guardpanel.rendering.client_certificates import LONGEST_SUBJECT
from guardpanel.services import certificates, client_cas, virtual_hosts
from guardpanel.services.https.revocation_lists import RevocationLists
from guardpanel.services.saving.changes import SaveRequest
from tests.certificates.made import Made, intermediate, made, root
from tests.certificates.test_client_cas import lists, whole
from tests.live.origins import Origin
from tests.live.saves import a_virtual_host, installation_of
from tests.live.stack import Stack
from tests.live.tls import H2, context, handshake, leaf
from tests.live.wire import Response, head
from tests.rows import SECRET, rows

pytestmark = pytest.mark.anyio

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)

HEADERS = ("client-cert", "x-ssl-client-subject", "x-ssl-client-fingerprint")

HOSTILE = 'bob\r\nX-Evil: 1, "a"'

BROWSER = {"user-agent": "Mozilla/5.0", "accept": "*/*"}

TEST = {"x-gp-test": SECRET}
"The answer says its request id."


def client(name: str, by: Made, days: tuple[float, float] = (-1, 9)) -> Made:
    return made(by=by, common_name=name, kind="client", days=days)


ADA, GONE, PAST = (
    client("ada", intermediate()),
    client("gone", intermediate()),
    client("past", intermediate(), (-9, -1)),
)
STRANGER, MALLORY = client("stranger", root("Other Root")), client(HOSTILE, intermediate())
LISTS = lists(serials=(GONE.certificate.serial_number,))
EVE = SaveRequest("eve")
OF = {"none": None, "good": ADA, "other CA": STRANGER, "expired": PAST, "revoked": GONE, "hostile": MALLORY}

REFUSED = {
    "none": ("HANDSHAKE_FAILURE", "CERTIFICATE_REQUIRED"),
    "other CA": ("UNKNOWN_CA",),
    "expired": ("CERTIFICATE_EXPIRED",),
    "revoked": ("CERTIFICATE_REVOKED",),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a file for each client: its certificate, the intermediate, its key."""
    made_ = tmp_path_factory.mktemp("clients")
    for name, it in OF.items():
        if it:
            above = "" if it is STRANGER else intermediate().pem
            (made_ / f"{name}.pem").write_text(it.pem + above + it.key_pem)
    return made_


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    common = {"servers": [{"address": server.address}], "health_check": False, "https": True, "policy": "Block"}
    passing = {**common, "client_certificate_headers": True}
    hosts = {
        "plain.test": common,
        "must.test *.wild.test": {**passing, "client_certificates": "required", "client_ca_id": 1},
        "may.test": {**passing, "client_certificates": "optional", "client_ca_id": 1},
        "large.test": {**passing, "client_certificates": "required", "client_ca_id": 1, "policy": "Watch"},
        "theirs.test": {**common, "client_certificates": "required", "client_ca_id": 2},
    }
    bound = {
        "name": "Staff",
        "certificates": whole(),
        "revocation_lists": lists(serials=(GONE.certificate.serial_number,)),
    }
    cas = [bound, {"name": "Others", "certificates": root("Other Root").pem}]
    policies = {"Block": {"enforcement_mode": "block"}, "Watch": {}}
    traffic = {"trusted_networks": ["127.0.0.0/8"], "client_ip_source": "x_forwarded_for"}
    with Stack(haproxy, rows(policies, hosts, traffic, client_cas=cas)) as running:
        yield running


def of(folder: Path, name: str, version: ssl.TLSVersion | None = None, *, h2: bool = False) -> ssl.SSLContext:
    return context(version, h2=h2, certificate=str(folder / f"{name}.pem") if OF[name] else "")


def asks(
    stack: Stack, by: ssl.SSLContext, name: str | None, host: str = "", headers: dict[str, str] | None = None
) -> Response:
    """As a visitor does, who is not the panel. Raises OSError if the handshake is refused, in TLS 1.3 after it."""
    request = head("GET", host or name or "", "/", {**BROWSER, **(headers or {})})
    with handshake(stack.tls_address, name, by) as connection:
        connection.sendall(request)
        return stack.answer(connection, request)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("which", [*REFUSED, "good"])
def test_only_a_valid_certificate_gets_in(stack: Stack, folder: Path, which: str, version: ssl.TLSVersion) -> None:
    by = of(folder, which, version)

    for name in ("must.test", "a.wild.test", "may.test"):
        if which == "good" or (which == "none" and name == "may.test"):
            answer = asks(stack, by, name)
            assert answer.status == 200
            assert ("client-cert" in answer.seen_headers) is (which == "good")
        else:
            with pytest.raises(ssl.SSLError) as refused:
                asks(stack, by, name)
            assert any(reason in str(refused.value) for reason in REFUSED[which]), refused.value
    assert asks(stack, by, "plain.test").status == 200


@pytest.mark.parametrize("version", VERSIONS)
def test_no_session_is_resumed_under_another_name(stack: Stack, folder: Path, version: ssl.TLSVersion) -> None:
    """Neither without a certificate nor with one that another name accepts."""
    nobody, stranger = of(folder, "none", version), of(folder, "other CA", version)
    for by, first, second in (
        (nobody, "plain.test", "must.test"),
        (nobody, "may.test", "must.test"),
        (nobody, "plain.test", "theirs.test"),
        (stranger, "theirs.test", "must.test"),
        (stranger, "theirs.test", "may.test"),
        (nobody, "plain.test", "plain.test"),
    ):
        request = head("GET", first, "/", BROWSER)
        with handshake(stack.tls_address, first, by) as connection:
            connection.sendall(request)
            assert stack.answer(connection, request).status == 200
            session = connection.session  # In TLS 1.3 it is known after the first response.
        answer = None
        with contextlib.suppress(OSError), handshake(stack.tls_address, second, by, session) as connection:
            assert not connection.session_reused, (first, second)
            request = head("GET", second, "/", BROWSER)
            connection.sendall(request)
            answer = stack.answer(connection, request)
        assert (answer is not None) is (second == "plain.test"), (first, second, answer)


def test_a_connection_for_another_name_is_no_way_around(stack: Stack, folder: Path) -> None:
    good, stranger, nobody = (of(folder, which) for which in ("good", "other CA", "none"))
    for by, name, host in (
        (nobody, "plain.test", "must.test"),
        (good, "plain.test", "must.test"),
        (good, "must.test", "plain.test"),
        (nobody, "may.test", "must.test"),
        (good, "may.test", "must.test"),
        (stranger, "theirs.test", "must.test"),
        (nobody, None, "must.test"),
        (nobody, "unknown.test", "must.test"),
        (nobody, "not-configured.invalid", "must.test"),
        (nobody, "must.test.", "must.test"),
        (nobody, "plain.test", "MUST.test:443"),
        (nobody, "plain.test", "a.wild.test"),
    ):
        assert asks(stack, by, name, host).status == 421, (name, host)
    assert asks(stack, good, "a.wild.test", "must.test").status == 200
    with H2(stack.tls_address, "plain.test") as connection:
        assert connection.get("must.test", "/").status == 421


def test_http_leads_around_no_required_certificate(stack: Stack, server: Origin) -> None:
    before = len(server.received)

    redirected = stack.send(head("GET", "must.test", "/a?b", BROWSER))
    closed = [
        stack.send(head("GET", "must.test", target, {**BROWSER, **headers}))
        for target, headers in (("/", {"x-forwarded-proto": "https"}), ("/.well-known/acme-challenge/abc", {}))
    ]

    assert redirected.status == 308
    assert redirected.headers["location"] == f"https://must.test:{stack.tls_address[1]}/a?b"
    assert [answer.status for answer in closed] == [403, 403]
    assert b"client certificate" in closed[0].body
    assert len(server.received) == before
    assert stack.send(head("GET", "may.test", "/", BROWSER)).status == 200
    assert stack.get("must.test", "/").status == 200, "the panel’s own test reaches the servers"


FORGED = dict.fromkeys((*HEADERS, "client_cert", "X_SSL_Client_Subject", "x-ssl_client-fingerprint", "client-cert-chain", "ssl-client-verify", "X-SSL-Cert", "X-ARR-ClientCert", "X-Client-Cert", "x-tls-client-cert", "X-SSL-Client-S-DN"), "forged")  # fmt: skip


def passed(answer: Response) -> dict[str, str]:
    return {
        name.lower(): value for name, value in answer.seen["headers"] if "forged" in value or name.lower() in HEADERS
    }


def test_servers_get_the_certificate_and_nothing_that_was_forged(stack: Stack, folder: Path) -> None:
    good = of(folder, "good")

    answers = [
        asks(stack, good, "must.test", headers=FORGED),
        asks(stack, of(folder, "none"), "may.test", headers=FORGED),
        asks(stack, good, "plain.test", headers=FORGED),
        stack.send(head("GET", "plain.test", "/", {**BROWSER, **FORGED})),
        stack.send(head("GET", "may.test", "/", {**BROWSER, **FORGED})),
    ]
    with H2(stack.tls_address, "must.test", of(folder, "good", h2=True)) as connection:
        lowered = {name.lower(): value for name, value in FORGED.items()}
        answers.append(connection.get("must.test", "/", lowered))

    assert [answer.status for answer in answers] == [200] * 6
    certificate = ssl.PEM_cert_to_DER_cert(ADA.pem)
    mine = passed(answers[0])
    assert mine["x-ssl-client-subject"] == "CN=ada"
    assert mine["x-ssl-client-fingerprint"] == ADA.certificate.fingerprint(hashes.SHA256()).hex()
    assert mine["client-cert"] == ":" + ssl.DER_cert_to_PEM_cert(certificate).replace("\n", "")[27:-25] + ":"
    assert passed(answers[5]) == mine
    assert [passed(answer) for answer in answers[1:5]] == [{}] * 4


def test_a_subject_ends_no_header(stack: Stack, folder: Path) -> None:
    answer = asks(stack, of(folder, "hostile"), "must.test")

    assert answer.seen_headers["x-ssl-client-subject"] == 'CN=bob\\0D\\0AX-Evil: 1\\, \\"a\\"'
    assert "x-evil" not in {name.lower() for name, _ in answer.seen["headers"]}


def test_the_log_says_whose_certificate_it_was_whatever_headers_say(stack: Stack, folder: Path) -> None:
    """In one line of JSON, and only where the virtual host asks for one."""
    good, sent = of(folder, "good"), {**TEST, **FORGED}
    answers = {
        "CN=ada": asks(stack, good, "must.test", headers=sent),
        'CN=bob\\0D\\0AX-Evil: 1\\, \\"a\\"': asks(stack, of(folder, "hostile"), "may.test", headers=sent),
    }
    nobody = [
        asks(stack, of(folder, "none"), "may.test", headers=sent),
        asks(stack, good, "plain.test", headers=sent),
        stack.send(head("GET", "may.test", "/", {**BROWSER, **sent})),
    ]

    assert [stack.logged(answer)["client_certificate"] for answer in answers.values()] == [*answers]
    assert [stack.logged(answer)["client_certificate"] for answer in nobody] == ["-"] * 3


def test_a_long_subject_is_cut_in_the_log(stack: Stack, tmp_path: Path) -> None:
    units = [x509.NameAttribute(x509.NameOID.ORGANIZATIONAL_UNIT_NAME, f"{at}" + "\N{SNOWMAN}" * 20) for at in range(3)]
    it = made(by=intermediate(), subject_name=x509.Name(units), kind="client")
    (tmp_path / "wide.pem").write_text(it.pem + intermediate().pem + it.key_pem)

    answer = asks(stack, context(certificate=str(tmp_path / "wide.pem")), "must.test", headers=TEST)

    logged = stack.logged(answer)["client_certificate"]
    assert logged.isascii() and logged.startswith("OU=2\\E2\\98\\83") and len(logged) == LONGEST_SUBJECT


def long(size: int) -> Made:
    """With so many bytes more than others."""
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"x" * size)
    return made(
        by=intermediate(),
        common_name="long",
        kind="client",
        more=lambda builder: builder.add_extension(extension, critical=False),
    )


@pytest.mark.parametrize(("size", "is_whole"), [(3500, True), (4096, False)])
def test_a_long_certificate_is_passed_on_when_the_buffer_is_full(
    stack: Stack, tmp_path: Path, size: int, is_whole: bool
) -> None:
    """Its headers are added when the body is there already."""
    it, body = long(size), b"x" * 1_000_000
    (tmp_path / "long.pem").write_text(it.pem + intermediate().pem + it.key_pem)
    sent = {**BROWSER, "content-type": "text/plain", "content-length": str(len(body))}
    request = head("POST", "large.test", "/", sent)

    with handshake(stack.tls_address, "large.test", context(certificate=str(tmp_path / "long.pem"))) as connection:
        connection.sendall(request + body)
        answer = stack.answer(connection, request)

    assert (answer.status, answer.seen["length"]) == (200, len(body))
    assert ("client-cert" in answer.seen_headers) is is_whole
    assert answer.seen_headers["x-ssl-client-fingerprint"] == it.certificate.fingerprint(hashes.SHA256()).hex()


async def test_saves_are_verified_although_a_certificate_is_required(haproxy: str, folder: Path) -> None:
    """Also a renewed certificate, a drift, and a revocation list that only a reload can bring."""
    async with installation_of(haproxy) as running:
        changes, place = running.changes, running.settings.https_binds[0]
        await client_cas.create(changes, EVE, ClientCaFields(name="Staff", certificates=whole()))
        required = {"https": True, "client_certificates": "required", "client_ca_id": 1}
        await virtual_hosts.create(changes, EVE, a_virtual_host(9, **required))
        fields = CertificateFields(name="Shop", source=Source.SELF_SIGNED, names=["shop.example"])
        await certificates.create(changes, EVE, fields)
        first = await asyncio.to_thread(leaf, place, "shop.example")

        await certificates.renew(changes, EVE, 1)

        second = await asyncio.to_thread(leaf, place, "shop.example")
        assert second == first_of((running.settings.data_dir / "current" / "certs" / "1.pem").read_bytes()) != first
        assert [await running.look() for _ in range(3)] == [[], [], []]
        by = of(folder, "revoked")
        assert await asyncio.to_thread(is_let_in, place, by)
        staff = ClientCaFields(name="Staff", certificates=whole(), revocation_lists=LISTS)
        saved = await client_cas.update(changes, EVE, 1, staff)
        assert saved.is_new
        assert not await asyncio.to_thread(is_let_in, place, by)
        with pytest.raises(Conflict):
            await client_cas.delete(changes, EVE, 1)
        assert await running.look() == []


async def test_a_certificate_on_a_downloaded_revocation_list_is_refused(
    haproxy: str, folder: Path, tmp_path: Path
) -> None:
    async with installation_of(haproxy) as running:
        changes, place, file = running.changes, running.settings.https_binds[0], tmp_path / "all.crl"
        staff = ClientCaFields(name="Staff", certificates=whole(), revocation_list_urls=[f"file://{file}"])
        await client_cas.create(changes, EVE, staff)
        required = {"https": True, "client_certificates": "required", "client_ca_id": 1}
        await virtual_hosts.create(changes, EVE, a_virtual_host(9, **required))
        good, bad = of(folder, "good"), of(folder, "revoked")
        downloads = RevocationLists(changes, FeedReach(files=tmp_path))
        await downloads.look()
        assert await asyncio.to_thread(is_let_in, place, bad)
        file.write_text(LISTS)

        await downloads.download(1)

        assert not await asyncio.to_thread(is_let_in, place, bad)
        assert await asyncio.to_thread(is_let_in, place, good)
        assert await running.look() == []


def is_let_in(place: tuple[str, int], by: ssl.SSLContext) -> bool:
    request = head("GET", "shop.example", "/", BROWSER)
    with contextlib.suppress(ssl.SSLError), handshake(place, "shop.example", by) as connection:
        connection.sendall(request)
        return bool(connection.recv(1))
    return False
