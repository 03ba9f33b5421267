"""One question to everything that has a name."""

from dataclasses import dataclass, field

from sqlalchemy import ColumnElement
from sqlmodel import col, func, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.models import Deployment, Policy, VirtualHost
from guardpanel.services import policies, virtual_hosts
from guardpanel.services.events import EventItem, Events
from guardpanel.services.nouns import NOUNS, Noun
from guardpanel.services.pages import Page, like

MOST = 20


@dataclass(frozen=True)
class Found:
    hosts: Page[VirtualHost]
    policies: Page[Policy]
    changes: Page[Deployment]
    settings: list[Noun] = field(default_factory=list)
    event: EventItem | None = None
    "Of the request with exactly this id."

    @property
    def is_empty(self) -> bool:
        return not (self.event or self.settings or self.hosts.items or self.policies.items or self.changes.items)


async def find(session: AsyncSession, events: Events, q: str) -> Found:
    """Virtual hosts by name, hostname or server; policies; changes by revision number, words or author; an event by its
    request id, however it was pasted."""
    await session.commit()  # it has a connection of its own: two for one request can run out
    event = await events.pasted(q)
    return Found(
        hosts=await virtual_hosts.page(session, q=q, limit=MOST),
        policies=await policies.page(session, q=q, limit=MOST),
        changes=await _changes(session, q),
        settings=_settings(q),
        event=event.item if event else None,
    )


def _settings(q: str) -> list[Noun]:
    """Those of which each word that is looked for begins one."""
    looked_for = q.lower().split()
    return [
        noun
        for noun in NOUNS.values()
        if noun.only_name and all(f" {word}" in f" {noun.known_as}" for word in looked_for)
    ]


async def _changes(session: AsyncSession, q: str) -> Page[Deployment]:
    pattern = like(q.strip().lower())
    number = q.strip().lower().removeprefix("revision").strip()
    conditions: list[ColumnElement[bool]] = [
        func.lower(Deployment.summary).like(pattern, escape="\\"),
        func.lower(Deployment.author).like(pattern, escape="\\"),
    ]
    if number.isascii() and number.isdigit() and len(number) < 10:
        conditions.append(col(Deployment.revision_id) == int(number))
    total = (await session.exec(select(func.count()).select_from(Deployment).where(or_(*conditions)))).one()
    found = await session.exec(
        select(Deployment).where(or_(*conditions)).order_by(col(Deployment.id).desc()).limit(MOST)
    )
    return Page(list(found.all()), total, 0, MOST)
