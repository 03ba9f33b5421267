"""Address lists: their pages, and their entries, which are read, judged and stored before a row names them."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.access import contents, parsing
from guardpanel.access.entries import Entries, Entry
from guardpanel.access.parsing import Tell
from guardpanel.access.spans import span
from guardpanel.errors import Conflict, FieldErrors, Invalid, NotFound, Stale
from guardpanel.models import AddressList
from guardpanel.models.access.address_list import NOUN, AddressListFields, AddressListInput, AppliesTo, ListKind
from guardpanel.models.access.feed import FilledFrom
from guardpanel.models.access.reference import EMPTY, Reference
from guardpanel.models.noun import KEPT
from guardpanel.sealing import Seal
from guardpanel.services.access import feed_maps, feed_states
from guardpanel.services.access.list_edits import Edit, difference
from guardpanel.services.access.list_texts import must_be_fit_to_deny, read_text, read_typed
from guardpanel.services.access.lockout import doors, must_not_lock_out, must_not_shut_out
from guardpanel.services.crud import Crud
from guardpanel.services.paging import Page, Paging, Portion, cut, holds
from guardpanel.services.saving.changes import Change, Changes, SaveRequest, SaveResult

SORTS = {"name": col(AddressList.name), "kind": col(AddressList.kind), "changed": col(AddressList.updated_at)}

TRIES = 50
"Of an edit that others are saved before: each time one of those that were there is done."

MOST_IN_FILE = 5_000
"Entries that a file of the configuration has. Of longer lists, it names them by their hash."


class Ready(AddressListInput):
    """The input with the entries that were read from it."""

    parsed: Any = None
    outcome: str = ""
    "What became of the entries."
    begins_feed: bool = False
    "From now on a feed fills the list. Until its first download is accepted, what is there applies."


class AddressLists(Crud[AddressList, AddressListFields]):
    async def page(
        self, session: AsyncSession, *, q: str = "", kind: ListKind | None = None, **paging: Unpack[Paging]
    ) -> Page[AddressList]:
        """Those whose name or notes contain `q`."""
        wanted = select(AddressList)
        if q:
            wanted = wanted.where(holds(q, AddressList.name, AddressList.notes))
        if kind is not None:
            wanted = wanted.where(col(AddressList.kind) == kind)
        return await self.listed(session, wanted, SORTS, **paging)

    async def errors_beside(self, data: Mapping[str, Any]) -> FieldErrors:
        """Lines that can't be read."""
        text = data.get("entries")
        if not isinstance(text, str):
            return {}
        try:
            await asyncio.to_thread(read_text, text, is_deny=data.get("kind") not in (ListKind.ALLOW, ListKind.ONLY))
        except Invalid as problem:
            return problem.errors
        return {}

    async def create(
        self, changes: Changes, request: SaveRequest, fields: AddressListFields
    ) -> SaveResult[AddressList]:
        with changes.saves.reading(request.key) as progress:
            ready = await self._ready(changes, request.client, fields, None, progress.read)
            return await super().create(changes, request, ready)

    async def update(
        self, changes: Changes, request: SaveRequest, number: int, fields: AddressListFields, version: int | None = None
    ) -> SaveResult[AddressList]:
        with changes.saves.reading(request.key) as progress:
            ready = await self._ready(changes, request.client, fields, number, progress.read)
            return await super().update(changes, request, number, ready, version)

    async def also(
        self,
        session: AsyncSession,
        row: AddressList,
        fields: AddressListFields,
        seal: Seal,
        change: Change,  # noqa: ARG002
    ) -> str:
        """The content that the row names, or that its feed begins with, and the feed's key."""
        if not isinstance(fields, Ready):
            return ""
        await contents.add(session, fields.parsed)
        if fields.begins_feed:
            feed = await feed_states.find(session, row) or feed_states.new(row)
            feed.content = fields.parsed.reference.text
            feed.etag = feed.last_modified = ""  # What they are of is not what applies any more.
            session.add(feed)
        if fields.feed_key:
            await feed_states.keep_key(session, row, fields.feed_key, seal)
        return ", ".join(filter(None, [fields.outcome, "another key" if fields.feed_key else ""]))

    async def edit(
        self, changes: Changes, request: SaveRequest, number: int, edit: Edit, *, confirmed: bool = False
    ) -> SaveResult[AddressList]:
        """Other entries for the row as it is. An edit that is saved while this waits is read anew, never taken back. Raises
        NeedsConfirmation (409) if they would lock somebody out, Stale (412) if it was beaten to it `TRIES` times."""
        with changes.saves.reading(request.key) as progress:
            for left in reversed(range(TRIES)):
                async with changes.database.read() as session:
                    row = await self.find(session, number)
                    must_be_by_hand(row)
                    before = await contents.read(session, row.reference.digest)
                    open_doors = await doors(changes, session, request.client)
                after = await asyncio.to_thread(edit, row, before, progress.read)
                new, words, reference = await asyncio.to_thread(difference, before, after)
                await asyncio.to_thread(contents.make, after)
                if row.kind is ListKind.DENY and not confirmed:
                    await asyncio.to_thread(must_not_lock_out, open_doors, new, "entries")
                if row.kind is ListKind.ONLY and not confirmed:
                    await asyncio.to_thread(must_not_shut_out, open_doors, before, after)
                given = self.fields_of(row).model_dump() | {"content": reference.text}
                fields = Ready.model_construct(None, **given, parsed=after, outcome=words)
                try:
                    return await super().update(changes, request, number, fields, row.version)
                except Stale:
                    if not left:
                        raise
            raise AssertionError

    async def file_values(self, session: AsyncSession, row: AddressList) -> dict[str, Any]:
        """With the entries of a list that is filled by hand."""
        values = self.values_of(row)
        if row.is_fed:
            return values | ({"feed_key": KEPT} if row.is_followed else {})
        if row.reference.total > MOST_IN_FILE:
            return values
        del values["content"]
        return values | {"entries": parsing.as_text(await contents.read(session, row.reference.digest))}

    def sent_by_file(self, data: dict[str, Any]) -> dict[str, Any]:
        """A list without entries is empty. In a form, a blank field adds none."""
        if "entries" in data and not str(data["entries"] or "").strip():
            return {**data, "content": data.get("content", EMPTY.text)}
        return data

    async def _ready(
        self, changes: Changes, client: str, fields: AddressListFields, number: int | None, tell: Tell
    ) -> Ready:
        """With the entries that were sent, if any. Entries that become deny entries are judged, wherever they come from."""
        sent = fields if isinstance(fields, AddressListInput) else AddressListInput(**fields.model_dump())
        names_content = "content" in fields.model_fields_set
        is_deny, is_fed, text = sent.kind is ListKind.DENY, sent.filled_from is not FilledFrom.HAND, sent.entries or ""
        async with changes.database.read() as session:
            row = await self.find(session, number) if number is not None else None
            _must_be_sent_by_hand(sent, row)
            await feed_states.must_have_a_key(session, sent, row)
            was = await entries_of(session, row) if row else Entries(())
            is_kept = is_fed or (row is not None and row.is_fed and sent.content == row.content)
            stored = await _stored(session, sent.content) if names_content and not is_kept else was
            open_doors = await doors(changes, session, client)
        entries = await asyncio.to_thread(read_typed, text, was, tell, is_deny=is_deny) if text.strip() else stored
        new, words, reference = await asyncio.to_thread(difference, was, entries)
        await asyncio.to_thread(contents.make, entries)
        is_wider = row is None or _applies_to_more(row, sent)
        if is_wider:
            new = [entry.network for entry in entries.items]
        if sent.kind is ListKind.ONLY and not sent.save_anyway:
            await asyncio.to_thread(must_not_shut_out, open_doors, None if is_wider else was, entries)
        if is_deny and new:
            await asyncio.to_thread(must_be_fit_to_deny, entries)
            if not sent.save_anyway:
                await asyncio.to_thread(must_not_lock_out, open_doors, new, "entries")
        given = sent.model_dump() | {"content": EMPTY.text if is_fed else reference.text}
        begins_feed = is_fed and row is not None and not row.is_fed
        if begins_feed and number is not None:
            await feed_maps.begin(changes.engines.feeds, number, entries)
        return Ready.model_construct(
            None, **given, parsed=entries, outcome=words if row else "", begins_feed=begins_feed
        )


def must_be_by_hand(row: AddressList) -> None:
    """Raises Conflict (409): the next download would take back what somebody enters."""
    if row.is_fed:
        raise Conflict("This list is filled from elsewhere. Add the entries to another list, or choose By hand first.")


def _must_be_sent_by_hand(sent: AddressListInput, row: AddressList | None) -> None:
    if sent.filled_from is FilledFrom.HAND:
        return
    words = "These come from elsewhere. Leave this as it is, or choose By hand."
    if (sent.entries or "").strip():
        raise Invalid.at("entries", words)
    if sent.content != EMPTY.text and (row is None or sent.content != row.content):
        raise Invalid.at("content", words)


def _applies_to_more(row: AddressList, sent: AddressListInput) -> bool:
    """Whether its entries become those of another kind, or of virtual hosts or paths on which they were not."""
    if row.kind is not sent.kind or (row.paths and not (sent.paths and set(sent.paths) <= set(row.paths))):
        return True
    if row.applies_to is AppliesTo.EVERYWHERE:
        return False
    return sent.applies_to is AppliesTo.EVERYWHERE or not set(sent.virtual_host_ids) <= set(row.virtual_host_ids)


async def _stored(session: AsyncSession, reference: str) -> Entries:
    """What a row or a program names. Raises Invalid (422)."""
    try:
        return await contents.read(session, Reference.read(reference).digest)
    except NotFound:
        raise Invalid.at("content", "These entries are not stored here. Send them as `entries`.") from None


async def entries_of(session: AsyncSession, row: AddressList) -> Entries:
    """What applies: what was entered, or the last download that was good."""
    feed = await feed_states.find(session, row) if row.is_fed else None
    reference = feed.reference if feed else row.reference
    return await contents.read(session, reference.digest)


async def entries_page(
    session: AsyncSession, row: AddressList, *, q: str = "", **portion: Unpack[Portion]
) -> Page[Entry]:
    """By address. `q`: a part of a network or comment."""
    entries = (await entries_of(session, row)).items
    if q:
        entries = await asyncio.to_thread(_matching, entries, q.lower())
    return cut(entries, lambda entry: span(entry.network), **portion)


def _matching(entries: Sequence[Entry], q: str) -> tuple[Entry, ...]:
    return tuple(entry for entry in entries if q in entry.network or q in entry.comment.lower())


ROWS = AddressLists(NOUN, AddressList, AddressListFields)

page, find, create, update, delete, fields_of = (
    ROWS.page, ROWS.find, ROWS.create, ROWS.update, ROWS.delete, ROWS.fields_of,
)  # fmt: skip
