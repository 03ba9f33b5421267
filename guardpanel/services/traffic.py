"""The traffic settings: one row, read and saved."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import FieldError, Invalid
from guardpanel.kept import KeptLast
from guardpanel.listen_addresses import bind_text
from guardpanel.models import Traffic
from guardpanel.models.listener import ListenerFields, Scheme
from guardpanel.models.traffic import NOUN, TrafficFields
from guardpanel.rendering import DesiredState, EngineFacts, trailers
from guardpanel.rendering.capacity import Capacity, capacity
from guardpanel.rendering.haproxy import room
from guardpanel.services.crud import Crud
from guardpanel.services.saving import revisions, snapshots
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


class Limits(NamedTuple):
    """What follows for HAProxy from the whole configuration."""

    capacity: Capacity
    by_memory: Capacity
    "Without what is set: it follows from the memory alone."
    bodies_need_a_length: bool
    "HAProxy rejects chunked bodies that would pass in parts, since it cannot see what may follow them."


_OF_LIVE: KeptLast[Limits] = KeptLast()
"To read all rows anew for a page would take longer than the page, as soon as there are thousands."


async def limits_of(changes: Changes, session: AsyncSession) -> Limits:
    """Of the live revision, or of the rows as long as there is none."""
    live = await revisions.live(session)
    stored = live.snapshot if live else snapshots.packed(await snapshots.take(session))
    facts = changes.renderer.facts
    return await asyncio.to_thread(_OF_LIVE.get, (facts, stored), partial(_limits, facts, stored))


def _limits(facts: EngineFacts, stored: bytes) -> Limits:
    state = DesiredState.from_rows(snapshots.rows(snapshots.unpacked(stored)), facts)
    unset = state.traffic.model_copy(update={"max_connections": 0, "max_requests_per_client": 0})
    buffer = room(state).buffer
    by_memory = capacity(replace(state, traffic=unset), buffer)
    return Limits(capacity(state, buffer), by_memory, trailers.need_a_length(state))


def _addresses(facts: EngineFacts) -> list[str]:
    return [*(bind_text(*bind) for bind in facts.http_binds), *https_addresses(facts)]


def _with_scheme(listeners: Sequence[ListenerFields], scheme: Scheme, facts: EngineFacts) -> list[ListenerFields]:
    """Those of HTTPS with this scheme."""
    over_tls = https_addresses(facts)
    return [
        listener.model_copy(update={"scheme": scheme}) if listener.address in over_tls else listener
        for listener in listeners
    ]
