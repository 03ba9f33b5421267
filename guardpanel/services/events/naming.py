"""From rows of the event database to what a page shows: with the names in the panel's database."""

from collections.abc import Iterable, Mapping, Sequence

from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.events.schema import time_of
from guardpanel.events.words import REASONS, SEVERITIES, VERDICTS
from guardpanel.models import Policy, Revision, VirtualHost
from guardpanel.services.events.details import rule_ids
from guardpanel.services.events.items import EventItem
from guardpanel.services.events.paging import Messages
from guardpanel.services.events.scan import EventRow


async def items(session: AsyncSession, rows: Sequence[EventRow], messages: Messages) -> list[EventItem]:
    hosts = await _names(session, VirtualHost, {row[2] for row in rows})
    policies = await _names(session, Policy, {row[3] for row in rows})
    revisions = await _revisions(session, {row[5] for row in rows})
    return [_item(row, hosts, policies, revisions, messages) for row in rows]


def _item(
    row: EventRow,
    hosts: Mapping[int | None, str],
    policies: Mapping[int | None, str],
    revisions: Mapping[str, list[tuple[float, int]]],
    messages: Messages,
) -> EventItem:
    (event_id, request_id, host_id, policy_id, application, checksum, client, method, host, path, verdict, status,
     score, severity, rules, reason) = row  # fmt: skip
    moment, fired = time_of(event_id), rule_ids(rules)
    return EventItem(
        request_id=request_id,
        time=moment,
        virtual_host_id=host_id,
        virtual_host=hosts.get(host_id),
        policy_id=policy_id,
        policy=policies.get(policy_id),
        application=application,
        revision=_newest_before(revisions.get(checksum, []), moment.timestamp()),
        client=client,
        method=method,
        host=host,
        path=path,
        verdict=VERDICTS[verdict],
        status=status,
        score=score,
        severity=SEVERITIES[severity] if severity is not None else None,
        rules=fired,
        reason=REASONS[reason] if reason is not None else None,
        message=messages.get(event_id, ""),
    )


async def virtual_hosts(session: AsyncSession, ids: Iterable[int | None]) -> dict[int | None, str]:
    """The names of those that still exist."""
    return await _names(session, VirtualHost, ids)


async def _names(
    session: AsyncSession, model: type[VirtualHost] | type[Policy], row_ids: Iterable[int | None]
) -> dict[int | None, str]:
    ids = [row_id for row_id in row_ids if row_id is not None]
    rows = await session.exec(select(model.id, model.name).where(col(model.id).in_(ids)))
    return dict(rows.all())


async def _revisions(session: AsyncSession, checksums: Iterable[str]) -> dict[str, list[tuple[float, int]]]:
    """By the first digits of the checksum: when each revision with it was made, and its number."""
    revisions: dict[str, list[tuple[float, int]]] = {}
    tests = [col(Revision.checksum).between(checksum, checksum + "g") for checksum in checksums if checksum]
    if tests:
        chosen = (
            select(Revision.checksum, Revision.created_at, Revision.id).where(or_(*tests)).order_by(col(Revision.id))
        )
        for checksum, moment, number in (await session.exec(chosen)).all():
            revisions.setdefault(checksum[:12], []).append((moment.timestamp(), number or 0))
    return revisions


def _newest_before(revisions: Sequence[tuple[float, int]], moment: float) -> int | None:
    """The same bytes may have been live under several numbers: an undo creates a new revision of old ones."""
    before = [number for at, number in revisions if at <= moment]
    return before[-1] if before else (revisions[0][1] if revisions else None)
