"""Search across everything that has a name."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from sqlalchemy import ColumnElement
from sqlmodel import col, func, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.engines import Engines, Rule
from guardpanel.models import NOUNS, Deployment
from guardpanel.models.noun import Key, Noun
from guardpanel.services import field_search
from guardpanel.services.events import EventItem, Events, scores
from guardpanel.services.field_search import FieldMatch
from guardpanel.services.history import history
from guardpanel.services.history.history import RowLink
from guardpanel.services.paging import Page, like
from guardpanel.services.rules import catalogue
from guardpanel.services.rules.question import RuleQuestion
from guardpanel.services.rules.question import search as search_rules

MOST = 20

MOST_RULES = 10
SHORTEST_FOR_RULES = 3
"Characters. Shorter words occur in hundreds of rules."

SHORTEST_FOR_FIELDS = 3

PAGES: dict[str, Callable[..., Awaitable[Page[Any]]]] = {
    noun.key: import_module(f"guardpanel.services.{noun.module}").page for noun in NOUNS.values() if not noun.only_name
}
"For each noun with many rows: its list function."


@dataclass(frozen=True)
class SearchResults:
    nouns: list[tuple[Noun, Page[Any], dict[Key, RowLink]]]
    "Nouns with matches, and the parents of the matching rows."
    changes: Page[Deployment]
    settings: list[Noun]
    fields: list[FieldMatch]
    event: EventItem | None
    "The event of the request with exactly this id."
    may_be_fixed: bool
    "Whether rules are responsible for the event, so that exclusions or settings may let such requests pass."
    rules: Page[Rule]

    @property
    def is_empty(self) -> bool:
        matches = self.event, self.settings, self.fields, self.nouns, self.changes.items, self.rules.items
        return not any(matches)


async def find(session: AsyncSession, events: Events, engines: Engines, q: str) -> SearchResults:
    """Nouns by their own search, changes by revision number, words or author, an event by its request id however it was pasted,
    and rules by id or words."""
    await session.commit()  # The search opens its own connection. Two per request could exhaust the pool.
    event = await events.pasted(q)
    rules = await _rules(engines, q)
    matches = [(NOUNS[key], await page(session, q=q, limit=MOST)) for key, page in reversed(PAGES.items())]
    return SearchResults(
        nouns=[
            (noun, page, await history.there(session, _parents(noun, page))) for noun, page in matches if page.items
        ],
        changes=await _changes(session, q),
        settings=_settings(q),
        fields=field_search.find(q) if len(q) >= SHORTEST_FOR_FIELDS else [],
        event=event.item if event else None,
        may_be_fixed=bool(event and scores.may_be_fixed(event)),
        rules=rules,
    )


async def _rules(engines: Engines, q: str) -> Page[Rule]:
    """None if the rules are unknown."""
    known = await catalogue.recall(engines) if len(q) >= SHORTEST_FOR_RULES else None
    if known is None:
        return Page([], 0, 0, MOST_RULES)
    return search_rules(known, RuleQuestion.model_construct(q=q), limit=MOST_RULES)


def _parents(noun: Noun, page: Page[Any]) -> set[Key]:
    return {(noun.parent, getattr(row, noun.within)) for row in page.items} if noun.within else set()


def _settings(q: str) -> list[Noun]:
    """Those in which each search term begins a word."""
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
    rows = await session.exec(
        select(Deployment).where(or_(*conditions)).order_by(col(Deployment.id).desc()).limit(MOST)
    )
    return Page(list(rows.all()), total, 0, MOST)
