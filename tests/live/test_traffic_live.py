"""Saves of the traffic settings: proved live, watched, tried and undone, whatever a listener expects of this machine."""

from collections.abc import AsyncIterator, Iterator

import pytest

from guardpanel.engines.verify import IN_A_ROW
from guardpanel.ingest.recent_requests import NOT_OURS
from guardpanel.models.traffic import TrafficFields
from guardpanel.services import policies, traffic, trials, virtual_hosts
from guardpanel.services.history import history
from guardpanel.services.saving.changes import SaveRequest
from guardpanel.services.trials import Kind
from tests.live.saves import Installation, a_virtual_host, installation_of
from tests.panel import origin_server

pytestmark = pytest.mark.anyio

ADA = SaveRequest("ada")

OUR_OWN, OTHERS = "127.0.0.0/8", "192.0.2.0/24"


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


async def test_the_panels_own_proofs_are_no_requests_of_visitors(running: Installation) -> None:
    """Whatever a save has listeners expect: HAProxy logs no connection of ours that began in the wrong way."""
    for protocol in ("required", "trusted", "off"):
        await traffic.update(running.changes, ADA, expects(running, protocol, OUR_OWN))
        assert await running.look() == []

    lines = running.settings.access_log.read_bytes().splitlines()

    assert len(lines) > 3 * IN_A_ROW
    assert [line for line in lines if NOT_OURS in line] == []
