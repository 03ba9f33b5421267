"""Saves of HTTP/3: proven by its listener, refused where HAProxy cannot receive UDP, and drift where nothing responds."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from guardpanel.engines import quic
from guardpanel.errors import ConfigRejected
from guardpanel.models.certificates.certificate import CertificateFields, Source
from guardpanel.models.traffic import TrafficFields
from guardpanel.services import certificates, traffic, virtual_hosts
from guardpanel.services.saving.changes import SaveRequest
from tests.live.over_h3 import H3
from tests.live.saves import Installation, a_virtual_host, installation_of
from tests.live.tls import leaf
from tests.live.wire import Response

pytestmark = [pytest.mark.anyio, pytest.mark.http3]

ADA = SaveRequest("ada")


@pytest.fixture
async def running(haproxy: str) -> AsyncIterator[Installation]:
    async with installation_of(haproxy) as installation:
        yield installation


async def test_a_save_is_live_over_udp_until_it_is_turned_off(running: Installation) -> None:
    place, changes = running.settings.https_binds[0], running.changes
    names = CertificateFields(name="Shop", source=Source.SELF_SIGNED, names=["shop.example"])
    await certificates.create(changes, ADA, names)
    await virtual_hosts.create(changes, ADA, a_virtual_host(9, https=True))

    def asked() -> tuple[Response, bytes]:
        with H3(place, "shop.example") as client:
            return client.get("shop.example", "/"), client.leaf

    with socket.socket(type=socket.SOCK_DGRAM) as other:
        other.bind(place)
        with pytest.raises(ConfigRejected) as refused:
            await traffic.update(changes, ADA, TrafficFields(http3=True))
    assert f"Cannot listen on UDP 127.0.0.1:{place[1]}: Address already in use." in refused.value.output
    assert "or turn off HTTP/3. It is used by process" in refused.value.output

    await traffic.update(changes, ADA, TrafficFields(http3=True))
    answer, certificate = await asyncio.to_thread(asked)
    assert answer.status == 503, "the server behind it does not run"
    assert running.engines.verifier.quic == [place]
    assert await running.look() == []
    workers = (await running.engines.cli.processes()).workers
    await certificates.renew(changes, ADA, 1)
    assert (await running.engines.cli.processes()).workers == workers, "it is swapped, without a reload"
    renewed = (await asyncio.to_thread(asked))[1]
    assert renewed == await asyncio.to_thread(leaf, place, "shop.example") != certificate

    await traffic.update(changes, ADA, TrafficFields())
    assert running.engines.verifier.quic == []
    assert "refused" in str(await quic.flaw(place))


async def test_silence_is_drift(running: Installation) -> None:
    changes = running.changes
    await virtual_hosts.create(changes, ADA, a_virtual_host(9, https=True))
    await traffic.update(changes, ADA, TrafficFields(http3=True))
    live = running.settings.data_dir / "current" / "haproxy.cfg"
    live.write_bytes(live.read_bytes().replace(b"    bind quic4@", b"    # bind quic4@"))
    await running.engines.cli.reload()

    assert any("Nothing responds to QUIC on UDP" in words for words in await running.look())
