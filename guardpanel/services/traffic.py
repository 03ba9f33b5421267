"""The traffic settings: one row, read and saved."""

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import FieldError, Invalid
from guardpanel.models import Traffic
from guardpanel.models.traffic import ListenerFields, TrafficFields
from guardpanel.rendering import EngineFacts, Rows
from guardpanel.services import revisions
from guardpanel.services.changes import Asked, Change, Changes, Saved
from guardpanel.services.differences import in_words
from guardpanel.services.input import as_kept
from guardpanel.services.nouns import NOUNS
from guardpanel.services.virtual_hosts import must_be_current
from guardpanel.settings import bind_text

NOUN, ID = "traffic", 1


async def find(session: AsyncSession) -> Traffic:
    return await session.get(Traffic, ID) or Traffic()


async def update(changes: Changes, asked: Asked, fields: TrafficFields, version: int | None = None) -> Saved[Traffic]:
    """`version` is the one that the form was opened with; another one now is Stale (412)."""
    change = Change(asked, "Updated the traffic settings", NOUN, ID)

    async def mutate(session: AsyncSession) -> Traffic:
        traffic = await find(session)
        must_be_current(traffic.version, version)
        _listeners_must_exist(fields, changes.renderer.facts)
        words = in_words(fields_of(traffic), fields)
        change.summary = f"{NOUNS[NOUN].only_name}: {words}" if words else change.summary
        traffic.replace(fields).touch(await revisions.version_after(session, traffic.version))
        session.add(traffic)
        return traffic

    return await changes.save(change, mutate)


def fields_of(traffic: Traffic, facts: EngineFacts | None = None) -> TrafficFields:
    """The fields as they are: what a form starts with and what a PATCH merges into. With `facts`, without listeners that
    there are no more."""
    columns = {name: getattr(traffic, name) for name in TrafficFields.model_fields if name != "listeners"}
    listeners = [ListenerFields.model_validate(one) for one in traffic.listeners]
    if facts is not None:
        listeners = [one for one in listeners if one.address in _addresses(facts)]
    return TrafficFields.model_construct(None, **columns, listeners=listeners)


def fields_in(rows: Rows, _id: int = ID) -> TrafficFields | None:
    """The fields as a kept state has them."""
    return as_kept(TrafficFields, rows["traffic"][0]) if rows["traffic"] else None


def listeners_of(traffic: Traffic, facts: EngineFacts) -> list[ListenerFields]:
    """Every listener that there is, in the order of GUARDPANEL_HTTP_BIND."""
    stored = {one.address: one for one in fields_of(traffic).listeners}
    return [stored.get(one) or ListenerFields(address=one) for one in _addresses(facts)]


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
