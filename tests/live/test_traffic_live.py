"""Saves of the traffic settings: proved live, watched, tried and undone, whatever a listener expects of this machine."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Iterator

import pytest

from guardpanel.engines.listeners import IN_A_ROW
from guardpanel.ingest.recent_requests import NOT_OURS
from guardpanel.listen_addresses import bind_text
from guardpanel.models.certificates.certificate import CertificateFields, Source
from guardpanel.models.traffic import TrafficFields
from guardpanel.services import certificates, policies, traffic, virtual_hosts
from guardpanel.services.history import history
from guardpanel.services.saving.changes import SaveRequest
from guardpanel.services.trials import trials
from guardpanel.services.trials.trials import Kind
from tests.live.saves import Installation, a_virtual_host, installation_of
from tests.live.stack import wait_until
from tests.live.tls import DEADLINE, context
from tests.live.wire import head
from tests.panel import origin_server

pytestmark = pytest.mark.anyio

ADA = SaveRequest("ada")

OUR_OWN, OTHERS = "127.0.0.0/8", "192.0.2.0/24"

STRANGER, PROXY = "127.0.0.1", "127.0.0.2"

VISITOR = "198.51.100.7"

VISITOR_LINE = f"PROXY TCP4 {VISITOR} 192.0.2.1 9 443\r\n".encode()


@pytest.fixture(scope="module")
def origin() -> Iterator[int]:
    with origin_server() as port:
        yield port


@pytest.fixture
async def running(haproxy: str, origin: int) -> AsyncIterator[Installation]:
    async with installation_of(haproxy) as made:
        yield made


def expects(running: Installation, protocol: str, network: str) -> TrafficFields:
    listener = {"address": running.settings.http_bind, "proxy_protocol": protocol, "proxy_networks": [network]}
    return TrafficFields.model_validate({"listeners": [listener]})


async def test_a_listener_that_expects_the_proxy_protocol_can_still_be_proved_watched_and_tried(
    running: Installation, origin: int
) -> None:
    host = (await virtual_hosts.create(running.changes, ADA, a_virtual_host(origin))).value
    async with running.changes.database.read() as session:
        host, policy = await virtual_hosts.find(session, host.id or 0), await policies.find(session, 1)
    for protocol, network in (
        ("required", OTHERS), ("required", OUR_OWN), ("trusted", OUR_OWN), ("trusted", OTHERS), ("off", OUR_OWN),
    ):  # fmt: skip
        saved = await traffic.update(running.changes, ADA, expects(running, protocol, network))
        assert saved.is_new
        assert await running.look() == []
        # An application that is new is judged through the listener, too.
        changed = policies.fields_of(policy).model_copy(update={"inbound_anomaly_threshold": 100 + saved.revision})
        await policies.update(running.changes, ADA, 1, changed)
        trial = await trials.send(running.changes, host, policy, Kind.CLEAN)
        assert trial.ok, (protocol, network, trial.sentence)

    undone = await history.undo(
        running.changes, ADA, (await traffic.update(running.changes, ADA, TrafficFields())).change_id
    )
    assert undone.value == ("traffic", 1)
    assert await running.look() == []


@pytest.mark.one_haproxy
async def test_a_listener_of_https_takes_the_proxy_protocol_before_tls(running: Installation, origin: int) -> None:
    """From its networks alone. Saves, swaps and looks go on, from where a PROXY line is expected and where not."""
    place, changes = running.settings.https_binds[0], running.changes
    fields = CertificateFields(name="Shop", source=Source.SELF_SIGNED, names=["shop.example"])
    await certificates.create(changes, ADA, fields)
    await virtual_hosts.create(changes, ADA, a_virtual_host(origin, https=True))
    request = head("GET", "shop.example", "/", {"user-agent": "Mozilla/5.0", "accept": "*/*"})

    def answer_to(peer: str, line: bytes = b"") -> str:
        """The status. Empty: no handshake."""
        with socket.create_connection(place, DEADLINE, source_address=(peer, 0)) as plain:
            plain.sendall(line)
            try:
                sealed = context().wrap_socket(plain, server_hostname="shop.example")
            except (ssl.SSLError, ConnectionError):
                return ""
            with sealed:
                sealed.sendall(request)
                return sealed.recv(12)[9:].decode()

    for protocol, network in (("required", PROXY), ("trusted", OUR_OWN), ("trusted", PROXY), ("required", OUR_OWN)):
        listener = {"address": bind_text(*place), "proxy_protocol": protocol, "proxy_networks": [network]}
        saved = await traffic.update(changes, ADA, TrafficFields.model_validate({"listeners": [listener]}))
        assert saved.is_new
        assert await running.look() == []
        assert (await certificates.renew(changes, ADA, 1)).is_new
        assert await running.look() == []
        statuses = {
            who: await asyncio.to_thread(answer_to, *who)
            for who in ((PROXY, VISITOR_LINE), (PROXY,), (STRANGER, VISITOR_LINE), (STRANGER,))
        }
        is_proxy = network == OUR_OWN
        assert statuses == {
            (PROXY, VISITOR_LINE): "200",
            (PROXY,): "",
            (STRANGER, VISITOR_LINE): "200" if is_proxy else "",
            (STRANGER,): "" if is_proxy else {"required": "400", "trusted": "200"}[protocol],
        }

    def served() -> set[str]:
        *log, _ = running.settings.access_log.read_text().split("\n")
        lines = [json.loads(line) for line in log if line.startswith("{")]
        return {line["client"] for line in lines if line["status"] == 200 and line["panel"] != "1"}

    await asyncio.to_thread(wait_until, lambda: served() >= {VISITOR, STRANGER}, "HAProxy writes its log")
    assert served() == {VISITOR, STRANGER}


async def test_the_panels_own_proofs_are_no_requests_of_visitors(running: Installation) -> None:
    """Whatever a save has listeners expect: HAProxy logs no connection of ours that began in the wrong way."""
    for protocol in ("required", "trusted", "off"):
        await traffic.update(running.changes, ADA, expects(running, protocol, OUR_OWN))
        assert await running.look() == []

    lines = running.settings.access_log.read_bytes().splitlines()

    assert len(lines) > 3 * IN_A_ROW
    assert [line for line in lines if NOT_OURS in line] == []
