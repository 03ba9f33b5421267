"""The traffic settings: one row, read and saved."""

from collections.abc import Sequence
from dataclasses import replace

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import FieldError, Invalid
from guardpanel.listen_addresses import bind_text
from guardpanel.models import Traffic
from guardpanel.models.listener import ListenerFields, Scheme
from guardpanel.models.traffic import NOUN, TrafficFields
from guardpanel.rendering import DesiredState, EngineFacts, trailers
from guardpanel.rendering.capacity import Capacity, capacity
from guardpanel.rendering.haproxy import room
from guardpanel.services.crud import Crud
from guardpanel.services.saving import snapshots
from guardpanel.services.saving.changes import Changes, SaveRequest, SaveResult

ID = 1


class TrafficRows(Crud[Traffic, TrafficFields]):
    """The id of the only row."""

    async def find(self, session: AsyncSession, number: int) -> Traffic:
        return await session.get(Traffic, number) or Traffic()

    def whole(self, fields: TrafficFields, facts: EngineFacts) -> TrafficFields:
        """With exactly the listeners that exist. Only those with settings are stored."""
        by_address = {listener.address: listener for listener in fields.listeners}
        listeners = [
            by_address.get(address) or ListenerFields(address=address) for address in sorted(_addresses(facts))
        ]
        return fields.model_copy(update={"listeners": _with_scheme(listeners, Scheme.HTTPS, facts)})

    def to_store(self, row: Traffic, fields: TrafficFields, facts: EngineFacts) -> TrafficFields:
        """Plus stored settings of listeners that do not exist at the moment: they may return."""
        known = _addresses(facts)
        absent = [
            ListenerFields.model_validate(listener) for listener in row.listeners if listener["address"] not in known
        ]
        listeners = _with_scheme(fields.listeners, Scheme.HTTP, facts)  # The default: it is nothing that was set.
        return fields.model_copy(update={"listeners": [*listeners, *absent]})

    def must_fit(self, fields: TrafficFields, facts: EngineFacts) -> None:
        """The listeners must exist, and have HTTP only where that can be."""
        known, over_tls = _addresses(facts), https_addresses(facts)
        words = f"but on {', '.join(known)}."
        errors = (
            {
                f"listeners.{at}.address": FieldError(f"HAProxy does not listen on {listener.address}, {words}")
                for at, listener in enumerate(fields.listeners)
                if listener.address not in known
            }
            | {
                f"listeners.{at}.scheme": FieldError(f"Select HTTPS: visitors of {listener.address} always use TLS.")
                for at, listener in enumerate(fields.listeners)
                if listener.address in over_tls
                and listener.scheme is Scheme.HTTP
                and "scheme" in listener.model_fields_set
            }
            | {
                f"listeners.{at}.http2": FieldError(f"Clear this: visitors of {listener.address} always use TLS.")
                for at, listener in enumerate(fields.listeners)
                if listener.address in over_tls and listener.http2
            }
        )
        if errors:
            raise Invalid.of(errors)


ROWS = TrafficRows(NOUN, Traffic, TrafficFields)


async def find(session: AsyncSession) -> Traffic:
    return await ROWS.find(session, ID)


async def update(
    changes: Changes, request: SaveRequest, fields: TrafficFields, version: int | None = None
) -> SaveResult[Traffic]:
    """`version` is the one that the form was opened with. Raises Stale (412) if it is no longer current."""
    return await ROWS.update(changes, request, ID, fields, version)


def https_addresses(facts: EngineFacts) -> list[str]:
    """The listeners of HTTPS, if HAProxy has TLS."""
    return [bind_text(*bind) for bind in facts.https_binds] if facts.has_tls else []


def fields_of(traffic: Traffic, facts: EngineFacts) -> TrafficFields:
    """The current fields: the initial values of a form, and the base of a PATCH."""
    return ROWS.whole(ROWS.fields_of(traffic), facts)


async def bodies_need_a_length(changes: Changes, session: AsyncSession) -> bool:
    """Whether HAProxy rejects chunked bodies that would pass in parts, since it cannot see what may follow them."""
    return trailers.need_a_length(await _state(changes, session))


async def capacity_of(changes: Changes, session: AsyncSession, *, settings: bool = True) -> Capacity:
    """HAProxy's limits. Without `settings`, those that follow from the memory alone."""
    state = await _state(changes, session)
    if not settings:
        unset = {"max_connections": 0, "max_requests_per_client": 0}
        state = replace(state, traffic=state.traffic.model_copy(update=unset))
    return capacity(state, room(state).buffer)


async def _state(changes: Changes, session: AsyncSession) -> DesiredState:
    return DesiredState.from_rows(snapshots.rows(await snapshots.take(session)), changes.renderer.facts)


def _addresses(facts: EngineFacts) -> list[str]:
    return [*(bind_text(*bind) for bind in facts.http_binds), *https_addresses(facts)]


def _with_scheme(listeners: Sequence[ListenerFields], scheme: Scheme, facts: EngineFacts) -> list[ListenerFields]:
    """Those of HTTPS with this scheme."""
    over_tls = https_addresses(facts)
    return [
        listener.model_copy(update={"scheme": scheme}) if listener.address in over_tls else listener
        for listener in listeners
    ]
