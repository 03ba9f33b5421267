"""The panel's own TLS: which certificate a handshake gets, and that none of it breaks what is open."""

import asyncio
import errno
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from guardpanel.certificates.making import LIFETIME
from guardpanel.certificates.served import ServedCertificate, ServedCertificates
from guardpanel.engines import preflight
from guardpanel.engines.tls import panel_certificate
from guardpanel.engines.tls.panel_tls import PanelTls
from guardpanel.errors import Problem
from guardpanel.models.certificates.certificate import Source
from guardpanel.settings import Settings
from tests.certificates.made import Made, full_chain, intermediate, leaf, made
from tests.ports import free_port

pytestmark = pytest.mark.anyio


@dataclass
class Listening:
    """Echoes over TLS as the panel's server would listen."""

    tls: PanelTls
    port: int

    async def connect(
        self, name: str | None, version: ssl.TLSVersion | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        client = ssl.create_default_context()
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        if version:
            client.minimum_version = client.maximum_version = version
        async with asyncio.timeout(60):
            return await asyncio.open_connection("127.0.0.1", self.port, ssl=client, server_hostname=name or "")

    async def leaf(self, name: str | None, version: ssl.TLSVersion | None = None) -> bytes:
        _, writer = await self.connect(name, version)
        der: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return der


@asynccontextmanager
async def listening(
    settings: Settings, own: panel_certificate.PanelCertificate | None = None
) -> AsyncIterator[Listening]:
    tls = PanelTls(settings, own or panel_certificate.read(settings, datetime.now(UTC)))

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    port = int(settings.listen.rpartition(":")[2])
    server = await asyncio.start_server(echo, "127.0.0.1", port, ssl=tls.listening())
    async with server:
        yield Listening(tls, port)


def stored(*certificates: Made) -> ServedCertificates:
    now = datetime.now(UTC)
    return ServedCertificates(
        tuple(
            ServedCertificate(
                number,
                Source.UPLOAD,
                tuple(str(name.value) for name in certificate.certificate.extensions[0].value),
                certificate.certificate.not_valid_before_utc,
                certificate.certificate.not_valid_after_utc,
                (certificate.pem + certificate.key_pem).encode(),
            )
            for number, certificate in enumerate(certificates, 1)
        ),
        now,
    )


@pytest.fixture
def own(folder: Path) -> Settings:
    """Self-signed."""
    return Settings(data_dir=folder, listen=f"127.0.0.1:{free_port()}", listen_tls="on")


@pytest.fixture
def files(folder: Path) -> Settings:
    """With the certificate of panel.example in files."""
    put(folder, leaf("panel.example"))
    certificate, private = str(folder / "own.pem"), str(folder / "own.key")
    return Settings(
        data_dir=folder,
        listen=f"127.0.0.1:{free_port()}",
        listen_certificate_file=certificate,
        listen_key_file=private,
    )


def put(folder: Path, certificate: Made) -> None:
    (folder / "own.pem").write_text(certificate.pem + intermediate().pem)
    (folder / "own.key").write_text(certificate.key_pem)


def of(tls: PanelTls) -> bytes:
    return ssl.PEM_cert_to_DER_cert(
        tls.own.pem.decode().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----"
    )


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_handshake_gets_the_valid_certificate_that_covers_its_name(
    own: Settings, version: ssl.TLSVersion
) -> None:
    exact, wildcard, expired = leaf("panel.example"), made("*.example"), made("old.test", days=(-9, -1))
    async with listening(own) as server:
        default = of(server.tls)
        assert await server.leaf("panel.example", version) == default
        server.tls.stored = lambda: stored(wildcard, exact, expired)

        certificates = {
            name: await server.leaf(name, version)
            for name in ("PANEL.example", "a.example", "old.test", "x.test", None)
        }

    assert certificates == {
        "PANEL.example": exact.der, "a.example": wildcard.der, "old.test": default, "x.test": default, None: default,
    }  # fmt: skip


async def test_a_revoked_certificate_is_not_served_for_the_panel(own: Settings) -> None:
    exact, wildcard = leaf("panel.example"), made("*.example")
    both = stored(exact, wildcard)
    revoked = replace(both.all[0], revoked_at=datetime.now(UTC))
    async with listening(own) as server:
        server.tls.stored = lambda: replace(both, all=(revoked,))
        assert await server.leaf("panel.example") == of(server.tls)

        server.tls.stored = lambda: replace(both, all=(revoked, both.all[1]))
        assert await server.leaf("panel.example") == wildcard.der


async def test_a_stored_certificate_that_openssl_refuses_leaves_the_own_one(own: Settings) -> None:
    broken = stored(made("panel.example"))
    broken = replace(broken, all=(replace(broken.all[0], pem=b"-----BEGIN CERTIFICATE-----\nx"),))
    async with listening(own) as server:
        server.tls.stored = lambda: broken

        assert await server.leaf("panel.example") == of(server.tls)
        assert await server.tls.served_problem() == "", "it is not for the address by which the panel is opened"
        broken = replace(broken, all=(replace(broken.all[0], names=("127.0.0.1",)),))
        assert "the one under Certificates for 127.0.0.1 can’t be used" in await server.tls.served_problem()


async def test_files_are_exchanged_while_connections_are_open(files: Settings) -> None:
    folder = files.data_dir
    async with listening(files) as server:
        reader, writer = await server.connect("panel.example")
        assert await server.leaf(None) == leaf("panel.example").der
        server.tls.stored = lambda: stored(made("panel.example"))
        newer = made("panel.example", by=intermediate())
        put(folder, newer)
        server.tls.refresh(datetime.now(UTC))

        assert server.tls.problem == ""
        assert await server.leaf("panel.example") == newer.der, "the files go before the store"
        for bad in ("", "x", made("panel.example", kind="other").key_pem):
            (folder / "own.key").write_text(bad)
            server.tls.refresh(datetime.now(UTC))
            assert server.tls.problem.startswith("GUARDPANEL_LISTEN_"), bad
            assert await server.leaf("panel.example") == newer.der
        put(folder, newer)
        server.tls.refresh(datetime.now(UTC))
        writer.write(b"still here\n")

        assert server.tls.problem == ""
        assert await reader.readline() == b"still here\n"
        writer.close()


async def test_expiring_files_are_said_and_served(files: Settings) -> None:
    old = made("panel.example", by=intermediate(), days=(-9, -1))
    put(files.data_dir, old)
    async with listening(files) as server:
        assert await server.leaf(None) == old.der
        server.tls.refresh(datetime.now(UTC))
        assert server.tls.problem == f"The panel’s certificate has expired. Replace {files.listen_certificate_file}."
        put(files.data_dir, made("panel.example", by=intermediate(), days=(-9, 5.5)))
        server.tls.refresh(datetime.now(UTC))
        assert "certificate expires on 20" in server.tls.problem
        put(files.data_dir, made("panel.example", by=intermediate(), days=(-9, 8)))
        server.tls.refresh(datetime.now(UTC))
        assert server.tls.problem == ""


async def test_the_served_certificate_is_looked_at(own: Settings) -> None:
    async with listening(own) as server:
        assert await server.tls.served_problem() == ""
        others = PanelTls(own, replace(server.tls.own, pem=(made("x.test").pem + made("x.test").key_pem).encode()))
        assert "another process may listen there" in await others.served_problem()
        checks = await preflight.panel_tls(own)

    assert "does not answer over TLS" in await server.tls.served_problem()
    assert await others.served_problem() == "", "its server does not listen yet"
    assert checks == [
        (
            True,
            f"panel’s certificate: self-signed, until {server.tls.own.not_after:%Y-%m-%d}, SHA-256 {server.tls.own.fingerprint}",
        )
    ]


def test_the_self_signed_certificate_is_stored_once_and_renewed(own: Settings) -> None:
    now = datetime.now(UTC)
    first = panel_certificate.read(own, now)
    path = own.panel_certificate

    assert {"localhost", "127.0.0.1", "::1"} <= set(first.names)
    assert (first.is_new, first.is_made_here, path.stat().st_mode & 0o777) == (True, True, 0o600)
    assert len(first.fingerprint) == 95
    again = panel_certificate.read(own, now + LIFETIME / 2)
    assert (again.fingerprint, again.is_new) == (first.fingerprint, False)
    assert panel_certificate.read(own, now + LIFETIME * 0.7).fingerprint != first.fingerprint
    path.write_text("x")
    assert panel_certificate.read(own, now).is_new
    elsewhere = own.model_copy(update={"listen": "192.0.2.1:8000"})
    assert "192.0.2.1" in panel_certificate.read(elsewhere, now).names
    path.unlink()
    path.mkdir()
    with pytest.raises(Problem, match=r"panel-certificate\.pem: "):
        panel_certificate.read(own, now)


def test_a_self_signed_certificate_that_cannot_be_read_now_is_not_replaced(
    own: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    now = datetime.now(UTC)
    tls = PanelTls(own, first := panel_certificate.read(own, now))
    before = own.panel_certificate.read_bytes()
    monkeypatch.setattr(panel_certificate, "content_of", fail)
    tls.refresh(now)

    assert "panel-certificate.pem: Input/output error." in tls.problem and tls.own == first
    assert own.panel_certificate.read_bytes() == before
    monkeypatch.undo()
    tls.refresh(now)
    assert tls.problem == "" and tls.own.fingerprint == first.fingerprint


def test_the_self_signed_certificate_says_nothing_of_its_key(own: Settings) -> None:
    assert "PRIVATE" not in repr(panel_certificate.read(own, datetime.now(UTC)))


@pytest.mark.parametrize(
    ("certificate", "private", "words"),
    [
        (None, "", r"CERTIFICATE_FILE: .*own\.pem: No such file or directory\."),
        (full_chain("p.example"), None, r"KEY_FILE: .*own\.key: No such file or directory\."),
        (full_chain("p.example"), made("p.example", kind="other").key_pem, r"KEY_FILE \(.*own\.key\): None of the 2"),
        (full_chain("p.example"), leaf("p.example").encoded_key("secret"), r"KEY_FILE \(.*own\.key\): It is encrypted"),
        ("nonsense", leaf("p.example").key_pem, r"CERTIFICATE_FILE \(.*own\.pem\): "),
    ],
)  # fmt: skip
async def test_unusable_files_are_said_before_anything_starts(
    files: Settings, certificate: str | None, private: str | None, words: str
) -> None:
    for path, text in ((files.data_dir / "own.pem", certificate), (files.data_dir / "own.key", private)):
        path.unlink()
        if text is not None:
            path.write_text(text)

    with pytest.raises(Problem, match=f"GUARDPANEL_LISTEN_{words}"):
        panel_certificate.read(files, datetime.now(UTC))
    [(is_well, message)] = await preflight.panel_tls(files)
    assert not is_well and message.startswith("GUARDPANEL_LISTEN_")


def test_one_file_holds_certificate_and_key(files: Settings) -> None:
    path = Path(files.listen_certificate_file)
    path.write_text(leaf("panel.example").key_pem + path.read_text())
    together = files.model_copy(update={"listen_key_file": ""})

    assert panel_certificate.read(together, datetime.now(UTC)).names == ("panel.example",)


async def test_doctor_asks_the_panel_that_runs_for_its_certificate(files: Settings) -> None:
    async with listening(files):
        [well] = await preflight.panel_tls(files)
        put(files.data_dir, made("panel.example", by=intermediate()))
        [other] = await preflight.panel_tls(files)

    assert well[0] and files.listen_certificate_file in well[1]
    assert not other[0] and "Another certificate" in other[1]


@pytest.mark.parametrize(
    ("given", "serves"),
    [
        ({}, False),
        ({"listen": "[::1]:8000"}, False),
        ({"listen": ":8000"}, True),
        ({"listen": "192.0.2.1:8000"}, True),
        ({"listen": "192.0.2.1:8000", "trusted_origins": "https://panel.example"}, False),
        ({"listen": "192.0.2.1:8000", "listen_tls": "off"}, False),
        ({"listen_tls": "on"}, True),
        ({"listen_certificate_file": "/x", "trusted_origins": "https://panel.example"}, True),
    ],
)
def test_the_panel_serves_https_beyond_loopback(given: dict[str, str], serves: bool) -> None:
    assert Settings.model_validate(given).serves_tls is serves


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"listen_key_file": "/x"}, "needs GUARDPANEL_LISTEN_CERTIFICATE_FILE"),
        ({"listen_tls": "off", "listen_certificate_file": "/x"}, "GUARDPANEL_LISTEN_TLS is off"),
        ({"listen_tls": "maybe"}, "auto"),
    ],
)
def test_settings_of_tls_that_contradict_are_refused(given: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Settings.model_validate(given)
