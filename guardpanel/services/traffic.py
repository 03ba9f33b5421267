"""The traffic settings: one row, read and saved."""

from dataclasses import replace

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import FieldError, Invalid
from guardpanel.models import Traffic
from guardpanel.models.traffic import NOUN as TRAFFIC
from guardpanel.models.traffic import ListenerFields, TrafficFields
from guardpanel.rendering import DesiredState, EngineFacts, Rows
from guardpanel.rendering.capacity import Capacity, capacity
from guardpanel.rendering.haproxy import room
from guardpanel.services import revisions, snapshots
from guardpanel.services.changes import Asked, Change, Changes, Saved
from guardpanel.services.differences import in_words
from guardpanel.services.input import as_kept
from guardpanel.services.virtual_hosts import must_be_current
from guardpanel.settings import bind_text

NOUN, ID = TRAFFIC.key, 1


async def find(session: AsyncSession) -> Traffic:
    return await session.get(Traffic, ID) or Traffic()


async def update(changes: Changes, asked: Asked, fields: TrafficFields, version: int | None = None) -> Saved[Traffic]:
    """`version` is the one that the form was opened with; another one now is Stale (412)."""
    change = Change(asked, "Updated the traffic settings", NOUN, ID)

    async def mutate(session: AsyncSession) -> Traffic:
        traffic, facts = await find(session), changes.renderer.facts
        must_be_current(traffic.version, version)
        _listeners_must_exist(fields, facts)
        words = in_words(fields_of(traffic, facts), whole(fields, facts))
        change.summary = f"{TRAFFIC.only_name}: {words}" if words else change.summary
        traffic.replace(fields).touch(await revisions.version_after(session, traffic.version))
        session.add(traffic)
        return traffic

    return await changes.save(change, mutate)


def fields_of(traffic: Traffic, facts: EngineFacts) -> TrafficFields:
    """The fields as they are: what a form starts with and what a PATCH merges into."""
    columns = {name: getattr(traffic, name) for name in TrafficFields.model_fields if name != "listeners"}
    listeners = [ListenerFields.model_validate(one) for one in traffic.listeners]
    return whole(TrafficFields.model_construct(None, **columns, listeners=listeners), facts)


def fields_in(facts: EngineFacts, rows: Rows, _id: int = ID) -> TrafficFields | None:
    """The same as a kept state has them."""
    kept = as_kept(TrafficFields, rows["traffic"][0]) if rows["traffic"] else None
    return whole(kept, facts) if kept else None


def whole(fields: TrafficFields, facts: EngineFacts) -> TrafficFields:
    """With every listener that there is, and no other: stored are those about which there is something to say."""
    given = {one.address: one for one in fields.listeners}
    listeners = [given.get(one) or ListenerFields(address=one) for one in sorted(_addresses(facts))]
    return fields.model_copy(update={"listeners": listeners})


async def capacity_of(changes: Changes, session: AsyncSession, *, settings: bool = True) -> Capacity:
    """How much HAProxy takes on at a time; without the `settings`, what the memory alone says."""
    state = DesiredState.from_rows(snapshots.rows(await snapshots.take(session)), changes.renderer.facts)
    if not settings:
        state = replace(state, traffic=state.traffic._replace(max_connections=0, max_requests_per_client=0))
    return capacity(state, room(state).buffer)


def _addresses(facts: EngineFacts) -> list[str]:
    return [bind_text(*bind) for bind in facts.http_binds]


def _listeners_must_exist(fields: TrafficFields, facts: EngineFacts) -> None:
    known = _addresses(facts)
    errors = {
        f"listeners.{at}.address": FieldError(f"HAProxy does not listen on {one.address}, but on {', '.join(known)}.")
        for at, one in enumerate(fields.listeners)
        if one.address not in known
    }
    if errors:
        raise Invalid("Some fields need another look.", errors)
