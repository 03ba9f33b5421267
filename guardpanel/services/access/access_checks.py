"""Why an address is rejected, or is not: asked of the running HAProxy, in the order in which it decides."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.access import contents
from guardpanel.access.entries import FOREVER
from guardpanel.access.spans import span
from guardpanel.engines import Engines
from guardpanel.engines.haproxy.map_commands import MapState
from guardpanel.engines.runtime.outside_map import OutsideMap
from guardpanel.errors import Invalid
from guardpanel.events.words import VERDICT_TABLE, Outcome, Reason, Verdict
from guardpanel.models import AddressList, Ban, Policy
from guardpanel.models.access.address_list import AppliesTo, ListKind
from guardpanel.rendering.access import is_at
from guardpanel.services.access import feed_states, limit_checks
from guardpanel.services.access.geo_checks import NOWHERE, Place, Where, rejecting, where_is
from guardpanel.services.access.limit_checks import Met, Used, plain_address, used
from guardpanel.services.access.origins import Origin, of_ban, of_entry, of_place
from guardpanel.services.events import EventDetail, Events, naming

BY_REQUEST: Mapping[Verdict | Reason, int] = {
    Verdict.UNKNOWN_HOST: 2,
    Reason.MISDIRECTED: 2,
    Reason.NO_CLIENT_CERTIFICATE: 6,
    Reason.AMBIGUOUS_PATH: 6,
    Verdict.BLOCKED: 9,
    Verdict.LOGIN_FAILED: 10,
}
"Steps of the order that decide by the request, rather than by its client."


@dataclass(frozen=True)
class Finding:
    """An entry that contains the address, in effect now, or a list that allows only others."""

    network: str
    ends_at: datetime | None
    comment: str
    listed: AddressList | None = None
    ban: Ban | None = None
    place: Place | None = None
    origin: Origin | None = None
    "None: a feed, or further back than what is stored."

    @property
    def is_partial(self) -> bool:
        """Whether it holds on some virtual hosts alone."""
        return self.place is not None or (self.listed is not None and self.listed.applies_to is AppliesTo.SOME)

    @property
    def paths(self) -> Sequence[str]:
        """On which it holds alone. Empty: on all."""
        return self.listed.paths if self.listed else ()

    @property
    def is_absence(self) -> bool:
        """Whether the list rejects what it does not have."""
        return self.listed is not None and self.listed.kind is ListKind.ONLY

    def holds_on(self, virtual_host_id: int | None, event: EventDetail | None) -> bool:
        """Of one with a list."""
        if self.listed is None:
            return True
        is_there = self.listed.applies_to is not AppliesTo.SOME or virtual_host_id in self.listed.virtual_host_ids
        if not is_there or not self.listed.paths or event is None:
            return is_there and not self.listed.paths
        return is_at(self.listed, event.item.path)

    @property
    def virtual_host_ids(self) -> Collection[int]:
        """If it is partial."""
        return self.place.virtual_host_ids if self.place else self.listed.virtual_host_ids if self.listed else ()


@dataclass(frozen=True)
class Answer:
    """`decides`: the first finding that holds on all virtual hosts, or on the one that was asked about."""

    address: str
    virtual_host_id: int | None
    allow: Sequence[Finding]
    bans: Sequence[Finding]
    deny: Sequence[Finding]
    "Of lists that reject: deny lists, then those that allow only others."
    limits: Sequence[Used]
    places: Sequence[Finding] = ()
    "Policies that reject the country or network."
    where: Where = NOWHERE
    request_id: str = ""
    policy_id: int | None = None
    "Of the request that was asked about: a path of its virtual host may have another policy than the rest."
    event: EventDetail | None = None
    "Of the request that was asked about."

    @property
    def is_rejection(self) -> bool:
        """Whether the request that was asked about got no response of a server."""
        return self.event is not None and VERDICT_TABLE[self.event.item.verdict].outcome is Outcome.DENIED

    @property
    def rejecting_step(self) -> int | None:
        """Which step of the order rejected that request for what it was."""
        if self.event is None or not self.is_rejection:
            return None
        item = self.event.item
        return BY_REQUEST.get(item.verdict) or (BY_REQUEST.get(item.reason) if item.reason else None)

    @property
    def decides(self) -> Finding | None:
        return next((finding for finding in self.findings if self._holds(finding)), None)

    @property
    def findings(self) -> Sequence[Finding]:
        """In the order in which HAProxy decides."""
        return (*self.allow, *self.bans, *self.deny, *self.places)

    @property
    def is_denied_in_part(self) -> bool:
        """Whether a list rejects the address for some virtual hosts or paths, and no request was asked about."""
        return self.event is None and any(finding.is_partial or finding.paths for finding in self.deny)

    @property
    def over(self) -> Used | None:
        """The limit that rejects or reports the next request, unless a finding decides before."""
        return None if self.decides else next((limit for limit in self.limits if limit.is_over), None)

    def _holds(self, finding: Finding) -> bool:
        if finding.place is not None and self.policy_id is not None and finding.place.policy.id != self.policy_id:
            return False
        if finding.listed is not None:
            return finding.holds_on(self.virtual_host_id, self.event)
        return not finding.is_partial or self.virtual_host_id in finding.virtual_host_ids


async def why(session: AsyncSession, engines: Engines, events: Events, text: str, geo_dir: Path) -> Answer:
    """Of an IP address, or of a request by its id. Raises Invalid (422), NotFound (404), and EngineUnavailable (503)."""
    address, event = await _address_of(events, text.strip())
    states = await engines.bans.cli.map_states()
    lists = (await session.exec(select(AddressList).order_by(col(AddressList.id)))).all()
    findings = [finding for row in lists if (finding := await _in_list(session, engines, row, states, address))]
    by_kind = {
        kind: [item for item in findings if item.listed is not None and item.listed.kind is kind] for kind in ListKind
    }
    bans = await _bans(session, engines.bans, states, address)
    limits = await used(session, engines.bans.cli, address, _met(event))
    where = await where_is(engines.bans.cli, states, geo_dir, address)
    places = [
        Finding(place.network, None, "", place=place, origin=await of_place(session, place))
        for place in await rejecting(session, where)
    ]
    allow, deny = by_kind[ListKind.ALLOW], by_kind[ListKind.DENY] + by_kind[ListKind.ONLY]
    if event is None:
        return Answer(address, None, allow, bans, deny, limits, places, where)
    of, policy_id = event.item, event.item.policy_id or None
    return Answer(
        address, of.virtual_host_id, allow, bans, deny, limits, places, where, of.request_id, policy_id, event
    )


async def host_names(session: AsyncSession, answer: Answer) -> Mapping[int | None, str]:
    """Of the virtual hosts on which lists hold alone."""
    partial = (item.virtual_host_ids for item in answer.findings if item.listed and item.is_partial)
    return await naming.virtual_hosts(session, {number for ids in partial for number in ids})


async def forgive(
    session: AsyncSession, engines: Engines, events: Events, policy_id: int, text: str
) -> tuple[Policy, str]:
    """The policy, and the address of which it forgets what it counted. Raises as `why` does."""
    address, event = await _address_of(events, text.strip())
    return await limit_checks.forgive(session, engines.bans.cli, policy_id, address, _met(event)), address


def _met(event: EventDetail | None) -> Met | None:
    """The count that a request met, if HAProxy's log has it."""
    key = event.proxy.limit_key if event and event.proxy else ""
    match = re.fullmatch(r"(\d{1,9}):[0-9a-z.:-]{1,54}", key)
    return Met(int(match[1]), key) if match else None


async def _address_of(events: Events, text: str) -> tuple[str, EventDetail | None]:
    try:
        return plain_address(text), None
    except ValueError:
        event = await events.pasted(text)
        if event is None:
            words = "Enter an IP address, or the ID of a request that is among the events."
            raise Invalid.at("q", words) from None
        return event.item.client, event


async def _in_list(
    session: AsyncSession, engines: Engines, row: AddressList, states: dict[str, MapState], address: str
) -> Finding | None:
    state = states.get(str(engines.feeds.of(row.id or 0).path) if row.is_fed else f"lists/{row.id}.map")
    entry = await engines.bans.cli.look_up(state.number, address) if state else None
    is_in = entry is not None and int(entry[1]) > datetime.now(UTC).timestamp()
    if row.kind is ListKind.ONLY:
        return None if is_in or state is None else Finding(address, None, "", listed=row)
    if entry is None or not is_in:
        return None
    feed = await feed_states.find(session, row) if row.is_fed else None
    entries = await contents.read(session, (feed or row).reference.digest)
    listed = entries.find(entry[0])
    origin = None if row.is_fed else await of_entry(session, row, entry[0])
    return Finding(entry[0], _moment(int(entry[1])), listed.comment if listed else "", listed=row, origin=origin)


async def _bans(session: AsyncSession, ban_map: OutsideMap, states: dict[str, MapState], address: str) -> list[Finding]:
    """Those that contain the address, if HAProxy has one of them."""
    state = states.get(str(ban_map.path))
    entry = await ban_map.cli.look_up(state.number, address) if state else None
    now = datetime.now(UTC)
    if entry is None or int(entry[1]) <= now.timestamp():
        return []
    inner = span(address)
    bans = (await session.exec(select(Ban).where(col(Ban.lifted_at).is_(None)).order_by(col(Ban.id).desc()))).all()
    return [
        Finding(ban.network, ban.ends_at, ban.reason, ban=ban, origin=of_ban(ban))
        for ban in bans
        if ban.is_active(now) and span(ban.network).contains(inner)
    ]


def _moment(end: int) -> datetime | None:
    return None if end == FOREVER else datetime.fromtimestamp(end, UTC)
