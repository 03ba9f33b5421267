"""A file's rows, saved in one transaction: each by its noun's service, with all its checks. Either all of them, or none."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import Conflict, FieldError, Invalid, NeedsConfirmation, NotFound, Problem
from guardpanel.field_codes import FieldCode
from guardpanel.models import NOUNS
from guardpanel.models.noun import Key, Noun
from guardpanel.services import redirect_targets
from guardpanel.services.crud import Crud
from guardpanel.services.saving.change import Change, SaveRequest
from guardpanel.services.saving.changes import Changes
from guardpanel.services.saving.differences import Kind
from guardpanel.services.site_file import matching
from guardpanel.services.site_file.batch import Batch
from guardpanel.services.site_file.entries import MOST_ERRORS, Document, Entry, Errors
from guardpanel.services.site_file.keys import Values, operations
from guardpanel.services.site_file.references import References
from guardpanel.services.site_file.rows import FileRow, again, of, stored

Work = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Options:
    prune: bool = False
    "Delete rows that the file does not name."
    save_anyway: bool = False
    "Accept what the warnings say."


@dataclass(frozen=True)
class Step:
    """A row that is added, changed or removed, in the words of the list of changes."""

    kind: Kind
    noun: str
    id: int
    change: Change


class _Same(Exception):
    """What was saved was there already."""


class Applying:
    def __init__(
        self, changes: Changes, session: AsyncSession, request: SaveRequest, document: Document, options: Options
    ) -> None:
        self.steps: list[Step] = []
        self._batch, self._session = Batch(changes, session, is_confirmed=options.save_anyway), session
        self._request, self._document, self._options = request, document, options
        self._references = References(session, document)
        self._late: dict[str, tuple[Work, Problem, Entry | str]] = {}
        "What was refused, by place: it may be possible once others are saved. `Policy Strict`: a row that the file leaves out."
        self._entries: dict[str, dict[int, list[Entry]]] = {}
        self._rows: dict[str, dict[int | None, list[FileRow]]] = {}
        self._matched: set[tuple[str, int | None]] = set()

    async def run(self) -> None:
        """Raises Invalid (422) with each key that is refused, and NeedsConfirmation (409) if only warnings are left."""
        served = await redirect_targets.served_names(self._session)
        for noun in NOUNS.values():
            for entry in self._document.entries[noun.key]:
                await self._attempt(entry.path, entry, self._saving(entry))
        if self._options.prune:
            await self._prune()
        while self._late:
            late, self._late = self._late, {}
            for place, (work, _, late_entry) in late.items():
                await self._attempt(place, late_entry, work)
            if len(self._late) == len(late):
                self._refuse()
        if not self._options.save_anyway:
            await redirect_targets.must_be_meant_of_all(self._session, self._batch.renderer.facts, served)

    def entry_of(self, key: Key) -> Entry | None:
        """The file's row that was saved as this one."""
        return next((entry for entry in self._document.entries[key[0]] if entry.row_id == key[1]), None)

    async def _attempt(self, place: str, entry: Entry | str, work: Work) -> None:
        try:
            async with self._session.begin_nested():
                await work()
        except _Same:
            pass
        except (Invalid, Conflict, NotFound) as problem:
            self._late[place] = work, problem, entry

    def _saving(self, entry: Entry) -> Work:
        async def work() -> None:
            if entry.parent is not None and entry.parent.row_id is None:
                raise NotFound("")  # Why is said where the parent is.
            if (entry.noun.key, entry.parent and entry.parent.row_id) not in self._matched:
                await self._match(entry.noun, entry.parent)
            await self._save(entry)

        return work

    async def _match(self, noun: Noun, parent: Entry | None) -> None:
        """The entries of one list, before any of them is saved."""
        parent_id = parent.row_id if parent else None
        entries = self._below(noun)[id(parent)]
        pairs = [matching.read(noun, entry.raw, await self._resolved(entry)) for entry in entries]
        for entry, (name, _) in zip(entries, pairs, strict=True):
            entry.name = name
        rows = (await self._stored(noun))[parent_id]
        matching.match(entries, pairs, rows, noun, renames=self._options.prune)
        self._matched.add((noun.key, parent_id))

    def _below(self, noun: Noun) -> Mapping[int, list[Entry]]:
        """The file's rows by parent: an entry, or none."""
        if noun.key not in self._entries:
            self._entries[noun.key] = defaultdict(list)
            for entry in self._document.entries[noun.key]:
                self._entries[noun.key][id(entry.parent)].append(entry)
        return self._entries[noun.key]

    async def _stored(self, noun: Noun) -> Mapping[int | None, list[FileRow]]:
        """By parent, as they were before the first of them was saved: read once, not for each of thousands of parents."""
        if noun.key not in self._rows:
            self._rows[noun.key] = defaultdict(list)
            for row in await stored(self._session, noun):
                self._rows[noun.key][row.parent_id].append(row)
        return self._rows[noun.key]

    async def _resolved(self, entry: Entry) -> Values | None:
        try:
            return await self._references.resolve(entry.noun, entry.raw)
        except Invalid:
            return None

    async def _save(self, entry: Entry) -> None:
        noun, row = entry.noun, entry.row
        data = await self._references.resolve(noun, entry.raw)
        if row is not None and matching.is_same(noun, entry.raw, matching.read(noun, data, data)[1], row):
            return
        crud = self._operations(noun, entry.parent.row_id if entry.parent else None)
        sent = crud.sent_by_file(matching.to_send(noun, data, row))
        if self._options.save_anyway and "save_anyway" in noun.input.model_fields:
            sent["save_anyway"] = True
        fields = await crud.read(sent)
        if row is None:
            saved = await crud.create(self._batch, self._request, fields)
            entry.row_id = saved.value.id
        else:
            row = await again(self._session, noun, row.id)
            updated = await crud.update(self._batch, self._request, row.id, fields)
            if (await of(self._session, noun, updated.value)).values == row.values:
                raise _Same
        self._note("added" if row is None else "changed", noun, entry.row_id or 0)

    async def _prune(self) -> None:
        """Rows that the file does not name. Those of a deleted parent go with it."""
        deleted: set[Key] = set()
        for noun in NOUNS.values():
            named = {entry.row_id for entry in self._document.entries[noun.key]}
            for row in await stored(self._session, noun) if not noun.only_name else ():
                if row.id not in named:
                    deleted.add((noun.key, row.id))
                    if (noun.parent, row.parent_id or 0) not in deleted:
                        await self._attempt(f"{noun.key}:{row.id}", noun.title(row.name), self._deleting(noun, row))

    def _deleting(self, noun: Noun, row: FileRow) -> Work:
        async def work() -> None:
            await self._operations(noun, row.parent_id).delete(self._batch, self._request, row.id)
            self._note("removed", noun, row.id)

        return work

    @staticmethod
    def _operations(noun: Noun, parent_id: int | None) -> Crud[Any, Any]:
        crud = operations(noun)
        return crud if parent_id is None else crud.under(parent_id)

    def _note(self, kind: Kind, noun: Noun, row_id: int) -> None:
        self._references.forget(noun)
        if self._batch.last is not None:
            self.steps.append(Step(kind, noun.key, row_id, self._batch.last))

    def _refuse(self) -> None:
        errors: Errors = {}
        refused = {place: late for place, late in self._late.items() if late[1].message}
        late_names = {(entry.noun.key, entry.name) for _, _, entry in self._late.values() if isinstance(entry, Entry)}
        for place, (_, problem, entry) in refused.items():
            code = FieldCode.NEEDS_CONFIRMATION if isinstance(problem, NeedsConfirmation) else FieldCode.INVALID
            if isinstance(entry, str):
                errors[place] = FieldError(problem.message, where=entry, code=code)
                continue
            fields = problem.errors or {"": FieldError(problem.message, code=code)}
            errors |= dict(
                entry.error(name, replace(error, message=self._references.completed(error.message)))
                for name, error in fields.items()
                if not _waits(entry, name, late_names)
            )
            if len(errors) >= MOST_ERRORS:
                break
        if errors and all(isinstance(problem, NeedsConfirmation) for _, problem, _ in refused.values()):
            raise NeedsConfirmation(" ".join(dict.fromkeys(error.message for error in errors.values())), errors)
        raise Invalid.of(errors)


def _waits(entry: Entry, name: str, late_names: Collection[tuple[str, str]]) -> bool:
    """For another row of the file, which is refused itself."""
    value, key = entry.raw.get(name), entry.noun.references.get(name, "")
    return any((key, str(each)) in late_names for each in (value if isinstance(value, list) else [value]))


def counted(steps: list[Step]) -> str:
    """`2 added, 1 changed`"""
    numbers: dict[Kind, int] = defaultdict(int)
    for step in steps:
        numbers[step.kind] += 1
    kinds: tuple[Kind, ...] = ("added", "changed", "removed")
    return ", ".join(f"{numbers[kind]} {kind}" for kind in kinds if numbers[kind])
