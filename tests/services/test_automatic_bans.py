"""Clients that a policy has rejected too often are banned once, never those who must not be, and never for a shorter time."""

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from guardpanel.events import schema
from guardpanel.models import Ban
from guardpanel.models.access.ban import BanFields, BanLength
from guardpanel.panel import Panel
from guardpanel.services.access import bans
from guardpanel.services.access.automatic_bans import AutomaticBans

pytestmark = pytest.mark.anyio

POLICY = "/api/v1/policies/1"

CLIENT = "203.0.113.7"


@pytest.fixture
async def automatic(panel: Panel, ada_api: httpx2.AsyncClient) -> AutomaticBans:
    """The default policy bans after 3 rejections in 60 s for 600 s."""
    numbers = {"ban_threshold": 3, "ban_window_seconds": 60, "ban_duration_seconds": 600}
    assert (await ada_api.patch(POLICY, json={"auto_ban_enabled": True, **numbers})).status_code == 200
    return AutomaticBans(panel.changes, panel.events, panel.bans)


def strike(panel: Panel, number: int, client: str = CLIENT, *, policy: int = 1, ago: int = 0) -> None:
    second = int(datetime.now(UTC).timestamp()) - ago
    with closing(schema.open_to_write(panel.settings.events_database)) as connection:
        connection.execute(
            "INSERT INTO strike VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET number = number + excluded.number",
            (policy, client, second, number),
        )


def ended(days: int, **others: Any) -> Ban:
    """A ban of an hour, so many days ago."""
    made = datetime.now(UTC) - timedelta(days=days)
    given: dict[str, Any] = {
        "network": CLIENT,
        "origin": "automatic",
        "created_at": made,
        "ends_at": made + timedelta(hours=1),
    }
    return Ban(**given | others)


async def active(panel: Panel) -> Sequence[Ban]:
    async with panel.database.read() as session:
        return list((await bans.active(session)).items)


async def test_who_is_rejected_too_often_is_banned_once(panel: Panel, automatic: AutomaticBans) -> None:
    strike(panel, 2)
    await automatic.look()
    assert await active(panel) == []

    strike(panel, 1)
    strike(panel, 3, "2001:db8::/64")
    await automatic.look()
    await automatic.look()

    second, first = await active(panel)
    assert {first.network, second.network} == {CLIENT, "2001:db8::/64"}
    for ban in (first, second):
        assert (ban.origin, ban.created_by) == ("automatic", "guardpanel")
        assert ban.reason == "3 requests rejected in 60 s by policy Default"
        assert (ban.violations, ban.threshold) == (3, 3)
        assert ban.ends_at is not None
        assert ban.ends_at - ban.created_at == timedelta(seconds=600)
    assert len(panel.settings.bans_map.read_text().splitlines()) == 2


async def test_what_is_too_old_or_of_another_policy_does_not_count(panel: Panel, automatic: AutomaticBans) -> None:
    strike(panel, 2)
    strike(panel, 9, ago=90)
    strike(panel, 9, policy=2)

    await automatic.look()

    assert await active(panel) == []


async def test_a_policy_that_does_not_ban_bans_nobody(
    panel: Panel, automatic: AutomaticBans, ada_api: httpx2.AsyncClient
) -> None:
    await ada_api.patch(POLICY, json={"auto_ban_enabled": False})
    strike(panel, 9)

    await automatic.look()

    assert await active(panel) == []


async def test_a_longer_ban_is_never_shortened(panel: Panel, automatic: AutomaticBans) -> None:
    await panel.bans.add(panel.changes, BanFields(network=CLIENT, length=BanLength.WEEK), who="ada", client="")
    await panel.bans.add(
        panel.changes, BanFields(network="198.51.100.0/24", length=BanLength.WEEK), who="ada", client=""
    )
    before = panel.settings.bans_map.read_text()
    strike(panel, 9)
    strike(panel, 9, "198.51.100.7")

    await automatic.look()

    assert panel.settings.bans_map.read_text() == before
    assert len(await active(panel)) == 2


async def test_who_was_forgiven_starts_anew(panel: Panel, automatic: AutomaticBans) -> None:
    strike(panel, 3, ago=2)
    await automatic.look()
    await panel.bans.lift_network(CLIENT, who="ada")

    await automatic.look()

    assert await active(panel) == []


async def test_who_was_forgiven_before_the_clock_was_set_back_is_watched_from_now_on(
    panel: Panel, automatic: AutomaticBans
) -> None:
    before = datetime.now(UTC)
    async with panel.database.write() as session:
        session.add(ended(1, lifted_at=before + timedelta(days=300)))
    strike(panel, 9, ago=-250 * 86_400)  # What was forgiven.
    strike(panel, 9, "192.0.2.1", ago=2)
    await panel.bans.look()
    await automatic.look()

    assert [ban.network for ban in await active(panel)] == ["192.0.2.1"]
    async with panel.database.read() as session:
        assert before <= (await bans.ends(session, [CLIENT]))[CLIENT] <= datetime.now(UTC)


async def test_no_ban_lasts_longer_since_the_clock_was_set_back(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for one until a date that somebody chose. A clock that is wrong for minutes changes nothing."""
    now = datetime.now(UTC)
    made, date = now + timedelta(days=300), now + timedelta(days=400)
    given: dict[str, tuple[str, datetime | None]] = {
        CLIENT: ("automatic", made + timedelta(seconds=600)),
        "203.0.113.8": ("hand", made + timedelta(hours=1)),
        "203.0.113.9": ("hand", date),
        "203.0.113.10": ("hand", None),
    }
    async with panel.database.write() as session:
        for network, (origin, ends_at) in given.items():
            session.add(Ban(network=network, origin=origin, created_at=made, ends_at=ends_at))

    await panel.bans.look()
    assert {ban.created_at for ban in await active(panel)} == {made}
    monkeypatch.setattr(bans, "STAYS_BACK_SECONDS", 0.0)
    await panel.bans.look()

    held = {ban.network: ban for ban in await active(panel)}
    assert all(now <= ban.created_at <= datetime.now(UTC) for ban in held.values())
    left = {network: ban.ends_at and ban.ends_at - ban.created_at for network, ban in held.items()}
    assert (left[CLIENT], left["203.0.113.8"]) == (timedelta(seconds=600), timedelta(hours=1))
    assert (held["203.0.113.9"].ends_at, held["203.0.113.10"].ends_at) == (date, None)


async def test_a_repeat_offender_is_banned_for_longer_each_time(
    panel: Panel, automatic: AutomaticBans, ada_api: httpx2.AsyncClient
) -> None:
    await ada_api.patch(POLICY, json={"ban_doubles": True})
    async with panel.database.write() as session:
        session.add_all(
            [
                ended(40),
                ended(20),
                ended(10),
                ended(5, lifted_at=datetime.now(UTC) - timedelta(days=5)),
                ended(4, origin="hand"),
            ]
        )
    strike(panel, 3)
    strike(panel, 3, "192.0.2.1")

    await automatic.look()

    lengths = {ban.network: ban.ends_at - ban.created_at for ban in await active(panel) if ban.ends_at}
    assert lengths == {CLIENT: timedelta(seconds=2400), "192.0.2.1": timedelta(seconds=600)}
    (again,) = [ban for ban in await active(panel) if ban.network == CLIENT]
    assert again.reason == "3 requests rejected in 60 s by policy Default, banned 2 times before"


@pytest.mark.parametrize("client", ["127.0.0.1", "198.51.100.1", "2001:db8:7::/64"])
async def test_this_machine_and_trusted_proxies_are_never_banned(
    panel: Panel, automatic: AutomaticBans, ada_api: httpx2.AsyncClient, client: str
) -> None:
    traffic = {"client_ip_source": "x_forwarded_for", "trusted_networks": ["198.51.100.0/24", "2001:db8:7::9"]}
    assert (await ada_api.patch("/api/v1/traffic", json=traffic)).status_code == 200
    strike(panel, 9, client)
    strike(panel, 9)

    await automatic.look()

    assert [ban.network for ban in await active(panel)] == [CLIENT]
