"""Saves of virtual hosts with HTTPS: proven over TLS, refused where HAProxy cannot listen, and drift where another answers."""

import asyncio
import socket
import ssl
import stat
from collections.abc import AsyncIterator

import pytest

from guardpanel.engines.haproxy.ports import refusal
from guardpanel.engines.tls.handshakes import first_of
from guardpanel.errors import ConfigRejected, DeploymentFailed, Invalid
from guardpanel.models.certificates.certificate import CertificateFields, Source
from guardpanel.models.traffic import TrafficFields
from guardpanel.services import certificates, traffic, virtual_hosts
from guardpanel.services.saving.changes import SaveRequest
from tests.faults import Faults
from tests.live.saves import Installation, a_virtual_host, installation_of
from tests.live.stack import wait_until
from tests.live.tls import context, handshake, leaf

pytestmark = pytest.mark.anyio

ADA = SaveRequest("ada")


@pytest.fixture
async def running(haproxy: str) -> AsyncIterator[Installation]:
    async with installation_of(haproxy) as installation:
        yield installation


async def test_a_save_with_https_is_live_over_tls_and_nowhere_else(running: Installation) -> None:
    place, settings = running.settings.https_binds[0], running.settings
    with socket.create_server(place), pytest.raises(ConfigRejected) as refused:
        await virtual_hosts.create(running.changes, ADA, a_virtual_host(9, https=True))
    assert f"Cannot listen on 127.0.0.1:{place[1]}: Address already in use" in refused.value.output
    assert "It is used by process" in refused.value.output
    # A child that was forked meanwhile, and has not begun its program yet, still has the port.
    await asyncio.to_thread(wait_until, lambda: refusal(*place) is None, "the port is free again")

    saved = await virtual_hosts.create(running.changes, ADA, a_virtual_host(9, https=True))

    served = await asyncio.to_thread(leaf, place, "shop.example")
    assert saved.is_new
    assert served == ssl.PEM_cert_to_DER_cert(settings.default_certificate.read_text().split("-----BEGIN PRIVATE")[0])
    assert place in running.engines.verifier.listeners
    assert await running.look() == []
    for path in (settings.default_certificate, settings.data_dir / "current" / "certs" / "default.pem"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((settings.data_dir / "current" / "certs").stat().st_mode) == 0o700
    assert not any("PRIVATE" in text.decode() for text in running.engines.releases.files(saved.revision).values())

    fields = CertificateFields(name="Shop", source=Source.SELF_SIGNED, names=["shop.example", "*.wild.example"])
    await certificates.create(running.changes, ADA, fields)
    first = await asyncio.to_thread(leaf, place, "shop.example")
    assert first != served
    renewed = await certificates.renew(running.changes, ADA, 1)
    second = await asyncio.to_thread(leaf, place, "shop.example")
    assert renewed.is_new
    assert second not in {first, served}
    assert await running.look() == []
    await virtual_hosts.update(running.changes, ADA, 1, a_virtual_host(9, https=True, notes="x"))
    assert await asyncio.to_thread(leaf, place, "shop.example") == second
    await certificates.delete(running.changes, ADA, 1)
    assert await asyncio.to_thread(leaf, place, "shop.example") == served
    keys = {path.parts[-3] for path in (settings.data_dir / "releases").glob("*/certs/1.pem")}
    assert keys <= {str((running.engines.releases.current_number() or 0) - 1)}, "replaced keys stay on disk"

    await virtual_hosts.update(running.changes, ADA, 1, a_virtual_host(9, https=False))

    with pytest.raises(OSError, match="refused"):
        await asyncio.to_thread(leaf, place, "shop.example")
    assert running.engines.verifier.listeners == running.engines.verifier.binds


class Killed(BaseException):
    """Nothing of ours catches it, as nothing runs after a SIGKILL."""


async def test_a_renewal_interrupted_before_its_swap_is_loaded_or_taken_back(
    running: Installation, monkeypatch: pytest.MonkeyPatch, faults: Faults
) -> None:
    faults.expect()
    place, changes, folder = running.settings.https_binds[0], running.changes, running.settings.data_dir / "current"
    fields = CertificateFields(name="Shop", source=Source.SELF_SIGNED, names=["shop.example"])
    await certificates.create(changes, ADA, fields)
    await virtual_hosts.create(changes, ADA, a_virtual_host(9, https=True))

    async def served() -> bytes:
        return await asyncio.to_thread(leaf, place, "shop.example")

    async def fails(*_: object, **__: object) -> None:
        raise DeploymentFailed("HAProxy failed.", step="verify")

    async def killed(*_: object, **__: object) -> None:
        raise Killed

    async def interrupted() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(running.engines.publisher.swapper, "swap", killed)
            with pytest.raises(Killed):
                await certificates.renew(changes, ADA, 1)

    before = await served()
    await interrupted()
    assert await served() == before != first_of((folder / "certs" / "1.pem").read_bytes())
    await changes.settle()
    assert await served() == first_of((folder / "certs" / "1.pem").read_bytes()) != before

    before, number = await served(), running.engines.releases.current_number()
    await interrupted()
    with monkeypatch.context() as patched:
        patched.setattr(running.engines, "deploy", fails)
        await changes.settle()
    assert running.engines.releases.current_number() == number
    assert await served() == before == first_of((folder / "certs" / "1.pem").read_bytes())
    assert await running.look() == []

    await certificates.renew(changes, ADA, 1)
    before, other = await served(), running.settings.default_certificate.read_text()
    await running.engines.cli._ask(f"@1 set ssl cert certs/1.pem <<\n{other}\n")
    await running.engines.cli._ask("@1 commit ssl cert certs/1.pem")
    words = "HAProxy has another certificate for shop.example than certs/1.pem. It was probably changed through the Runtime API."
    assert [await running.look() for _ in range(3)][1:] == [[words], [words]]
    await changes.put_back(ADA)
    assert await served() == before
    assert await running.look() == []


async def test_an_ip_address_gets_its_certificate_without_a_name(running: Installation) -> None:
    place, changes, folder = running.settings.https_binds[0], running.changes, running.settings.data_dir / "current"
    host = a_virtual_host(9, https=True, hostnames=["192.0.2.1", "shop.example"], tls_profile="modern")
    default = first_of(running.settings.default_certificate.read_bytes())

    def status(name: str | None, host: str, version: ssl.TLSVersion) -> bytes:
        with handshake(place, name, context(version)) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            return connection.recv(12)

    fields = CertificateFields(name="IP", source=Source.SELF_SIGNED, names=["192.0.2.1"])
    await certificates.create(changes, ADA, fields)
    await virtual_hosts.create(changes, ADA, host)

    first = first_of((folder / "certs" / "1.pem").read_bytes())
    assert await asyncio.to_thread(leaf, place, None) == first != default
    assert await asyncio.to_thread(leaf, place, "shop.example") == default
    assert await asyncio.to_thread(status, None, "192.0.2.1", ssl.TLSVersion.TLSv1_3) == b"HTTP/1.1 503"
    assert await asyncio.to_thread(status, None, "192.0.2.1", ssl.TLSVersion.TLSv1_2) == b"HTTP/1.1 421"
    assert await asyncio.to_thread(status, None, "shop.example", ssl.TLSVersion.TLSv1_3) == b"HTTP/1.1 421"
    await certificates.renew(changes, ADA, 1)
    assert await asyncio.to_thread(leaf, place, None) == first_of((folder / "certs" / "1.pem").read_bytes()) != first
    assert [await running.look() for _ in range(2)] == [[], []]

    words = "Clients send no TLS name for 192.0.2.1"
    with pytest.raises(Invalid) as refused:
        await traffic.update(changes, ADA, TrafficFields(strict_sni=True))
    assert words in refused.value.errors["strict_sni"].message
    await virtual_hosts.update(changes, ADA, 1, host.model_copy(update={"hostnames": ["shop.example"]}))
    await traffic.update(changes, ADA, TrafficFields(strict_sni=True))
    assert await asyncio.to_thread(leaf, place, "shop.example") == default
    with pytest.raises(Invalid) as refused:
        await virtual_hosts.update(changes, ADA, 1, host)
    assert words in refused.value.errors["hostnames"].message
    with pytest.raises(ssl.SSLError):
        await asyncio.to_thread(leaf, place, None)
