"""A file planned, or applied as one save: one revision, or nothing."""

import asyncio
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.bundle import Bundle
from guardpanel.engines.processes.process import in_thread
from guardpanel.engines.releases import Releases
from guardpanel.errors import ConfigRejected, Conflict, FieldError, Finding, Invalid, NothingNew, Problem
from guardpanel.models import NOUNS
from guardpanel.services.history import history
from guardpanel.services.history.comparisons import Comparison, compare_draft
from guardpanel.services.saving import revisions, snapshots
from guardpanel.services.saving.change import Change, SaveRequest, SaveResult
from guardpanel.services.saving.changes import Changes
from guardpanel.services.saving.refusals import field_error
from guardpanel.services.saving.snapshots import Snapshot
from guardpanel.services.site_file.applying import Applying, Options, Step, counted
from guardpanel.services.site_file.entries import Document, Errors, document_of
from guardpanel.services.site_file.nodes import read
from guardpanel.services.site_file.overwriting import OverwrittenChange, overwritten_changes

NO_CHANGE = "Nothing would change: everything in the file is already live."


@dataclass(frozen=True)
class Plan:
    """`comparison`: None if nothing would change. `before` and `after`: all rows."""

    steps: tuple[Step, ...] = ()
    comparison: Comparison | None = None
    before: Snapshot = ""
    after: Snapshot = ""
    overwritten: tuple[OverwrittenChange, ...] = ()
    "What was saved otherwise since the file was last applied, and would be lost. Newest first."

    @property
    def sentence(self) -> str:
        return f"{counted(list(self.steps))}." if self.steps else NO_CHANGE


async def document_in(content: bytes | str) -> Document:
    """Raises Invalid (422) with lines. Reading ends if this is canceled."""
    unwanted = threading.Event()
    try:
        return await asyncio.to_thread(lambda: document_of(read(content, unwanted)))
    finally:
        unwanted.set()


async def plan(changes: Changes, request: SaveRequest, document: Document, options: Options, name: str = "") -> Plan:
    """What applying it would do, checked by both engines. Raises what applying it would raise, and changes nothing. Ends
    if it is canceled. `name`: by which it was applied before."""
    async with changes.turn():
        try:
            async with changes.database.write() as session:
                planned = await _planned(changes, session, request, document, options)
                overwritten = await overwritten_changes(session, name, planned.steps)
                await session.rollback()
            return replace(planned, overwritten=overwritten)
        finally:
            changes.preparing.forget()


async def apply(
    changes: Changes, request: SaveRequest, document: Document, options: Options, name: str
) -> SaveResult[tuple[Step, ...]]:
    """Make it live. Raises NothingNew (409) if nothing would change. `name`: of the file, for the list of changes."""
    change = Change(request, f"Applied {name}", applied_file=name)
    applying: list[Applying] = []

    async def mutate(session: AsyncSession) -> tuple[Step, ...]:
        applying[:] = [await _applied(changes, session, change, document, options)]
        if not applying[0].steps:
            raise NothingNew(NO_CHANGE)
        return tuple(applying[0].steps)

    try:
        return await changes.save(change, mutate)
    except (Conflict, ConfigRejected, Invalid) as problem:
        raise (at_lines(problem, applying[0]) if applying else problem) from None


async def _applied(
    changes: Changes, session: AsyncSession, change: Change, document: Document, options: Options
) -> Applying:
    applying = Applying(changes, session, change.request, document, options)
    await applying.run()
    _describe(change, applying.steps)
    return applying


def _describe(change: Change, steps: list[Step]) -> None:
    """Of a single row, as if it had been saved by itself."""
    if len(steps) == 1:
        own = steps[0].change
        change.summary, change.noun, change.noun_id, change.within = own.summary, own.noun, own.noun_id, own.within
    elif steps:
        change.summary += f": {counted(steps)}"
        change.touched = [f"{step.noun}:{step.id}" for step in steps]


async def _planned(
    changes: Changes, session: AsyncSession, request: SaveRequest, document: Document, options: Options
) -> Plan:
    await (await session.connection()).exec_driver_sql("PRAGMA defer_foreign_keys = ON")
    before, change = await snapshots.take(session), Change(request, "")
    applying = await _applied(changes, session, change, document, options)
    if not applying.steps:
        return Plan()
    await session.flush()
    after = await snapshots.take(session)
    try:
        facts = await changes.renderer.facts_in(session)
        bundle = await changes.renderer.accepted(change, before, after, facts)
        await _check(changes, session, bundle)
    except (Conflict, ConfigRejected, Invalid) as problem:
        raise at_lines(problem, applying) from None
    live = await revisions.live(session)
    state = history.State(snapshots.packed(before), live.id if live else None, live.checksum if live else None)
    return Plan(tuple(applying.steps), await compare_draft(changes, state, after, bundle), before, after)


async def _check(changes: Changes, session: AsyncSession, bundle: Bundle) -> None:
    """Both engines, without anything of it staying."""
    changed = await changes.renderer.changed(bundle, await revisions.live(session))
    with TemporaryDirectory(prefix="guardpanel-") as folder:
        release = await in_thread(lambda: Releases(Path(folder)).stage(1, bundle))
        await changes.engines.check(release, bundle, changed=changed, names=[])


def at_lines(problem: Problem, applying: Applying) -> Problem:
    """The same, with each error at its line of the file."""
    if problem.errors:  # Of the only row, or of warnings: those have their lines.
        own = [step for step in applying.steps if step.kind != "removed"]
        entry = applying.entry_of((own[0].noun, own[0].id)) if len(own) == 1 else None
        if entry is not None and not any(name.startswith(entry.path) for name in problem.errors):
            problem.errors = dict(entry.error(name, error) for name, error in problem.errors.items())
        return problem
    findings = problem.findings if isinstance(problem, Conflict | ConfigRejected) else ()
    problem.errors = _errors(findings, applying)
    return problem


def _errors(findings: Iterable[Finding], applying: Applying) -> Errors:
    errors: Errors = {}
    for finding in findings:
        key = finding.noun or "", finding.noun_id or 0
        entry = applying.entry_of(key) if finding.noun else None
        if entry is not None:
            own = field_error(finding) if finding.engine else FieldError(finding.message, code=finding.code)
            place, error = entry.error(finding.field or "", own)
            errors.setdefault(place, error)
        elif finding.noun in NOUNS and not finding.engine:
            errors.setdefault(f"{key[0]}:{key[1]}", FieldError(finding.message, where=finding.title, code=finding.code))
    return errors
