"""Validates a backup's content: nothing is restored that a form would have rejected."""

import asyncio
import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.database import is_known_schema
from guardpanel.errors import Invalid, StorageFailed
from guardpanel.models import NOUNS, User
from guardpanel.models.former_values import LISTS, NOW
from guardpanel.models.meta import lowered
from guardpanel.models.user import email
from guardpanel.rendering import Rows
from guardpanel.services.backups.copies import database_at
from guardpanel.services.backups.sealing import BackupDamaged, BackupTooNew
from guardpanel.services.input import messages
from guardpanel.services.saving import former, noun_rows, snapshots
from guardpanel.services.saving.facts import PROBE_SECRET, RESTORED, SETUP

AT_ONCE = 100
"Rows that are read before the event loop gets a turn."

LEFT_OUT = "left-out.txt"
"A file next to the database: what earlier versions accepted, and this one corrects (models/former_values.py)."

SECRET = re.compile(r"[0-9a-f]{64}")


async def bring_to_our_schema(path: Path) -> None:
    """Raises BackupDamaged (422) unless SQLite and the migrations accept it, BackupTooNew (422) if its schema is unknown."""
    await asyncio.to_thread(_must_be_sound, path)
    async with database_at(path) as database:
        try:
            await asyncio.to_thread(_note_what_is_left_out, path)
            await database.migrate()
        except (SQLAlchemyError, StorageFailed, ValueError):
            raise BackupDamaged("The database in this backup is not a guardpanel database.") from None


def _note_what_is_left_out(path: Path) -> None:
    """Next to the database, which no longer has it once it is migrated to our schema."""
    with closing(sqlite3.connect(path)) as database:
        there = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        state = {name: _parsed(database.execute(f"SELECT * FROM {name}")) for name in NOW if name in there}  # noqa: S608
    (path.parent / LEFT_OUT).write_text(former.without(state))


def _parsed(cursor: sqlite3.Cursor) -> list[dict[str, Any]]:
    names = [name for name, *_ in cursor.description]
    rows = [dict(zip(names, values, strict=True)) for values in cursor]
    return [
        {name: json.loads(value) if name in LISTS and value else value for name, value in row.items()} for row in rows
    ]


def left_out(folder: Path) -> str:
    """What is not restored from a migrated backup, for the end of a sentence."""
    return (folder / LEFT_OUT).read_text()


def _must_be_sound(path: Path) -> None:
    try:
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA trusted_schema = OFF")
            database.execute("PRAGMA cell_size_check = ON")
            sound = database.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",)
            orphans = database.execute("PRAGMA foreign_key_check").fetchone()
            code = database.execute("SELECT name FROM sqlite_master WHERE type IN ('trigger', 'view')").fetchone()
            schema = database.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error:
        raise BackupDamaged("The database in this backup is unreadable.") from None
    if not sound or orphans or code or not schema:
        raise BackupDamaged("The database in this backup is damaged.")
    if not is_known_schema(str(schema[0])):
        raise BackupTooNew


async def rows_of(path: Path) -> Rows:
    """Every row of the configuration, accounts and facts. All sessions and API tokens end."""
    async with database_at(path) as database:
        try:
            async with database.read() as session:
                await _must_be_readable(session)
                rows = await asyncio.to_thread(snapshots.rows, await snapshots.take_whole(session))
        except (SQLAlchemyError, LookupError, TypeError, ValueError):
            raise BackupDamaged("The data in this backup is not valid.") from None
    facts = [row for row in rows["installation"] if row["name"] not in {SETUP, RESTORED}]
    return {**rows, "session": [], "accesstoken": [], "apitoken": [], "installation": facts}


async def _must_be_readable(session: AsyncSession) -> None:
    """Rows must be readable by the models. A hundred at a time: all at once would block the event loop."""
    models: list[Any] = [User, *(noun.table for noun in NOUNS.values())]
    for model in models:
        for at in count(0, AT_ONCE):
            if not (await session.exec(select(model).order_by(model.id).offset(at).limit(AT_ONCE))).all():
                break
            session.expunge_all()


def must_be_valid(rows: Rows) -> None:
    """Raises Invalid (422) for a row that a form would have rejected: a backup must not bypass validation."""
    secrets_kept = [row["value"] for row in rows["installation"] if row["name"] == PROBE_SECRET]
    if not all(SECRET.fullmatch(kept) for kept in secrets_kept):
        raise BackupDamaged("The installation secret in this backup is invalid.")
    for row in rows["user"]:
        _check(partial(email, row["email"]), f"account {row['id']}")
    for noun in NOUNS.values():
        for row in noun_rows.with_parts(noun, rows):
            called = f"the {lowered(noun.only_name)}" if noun.only_name else f"{noun.in_sentence} {row['id']}"
            _check(partial(noun.fields.model_validate, row), called)


def _check(validate: Callable[[], object], what: str) -> None:
    try:
        validate()
    except ValidationError as error:
        name, complaint = next(iter(messages(error).items()))
        raise Invalid(f"Invalid data in this backup, {what}: {name}: {complaint.message}") from None
    except (PydanticCustomError, TypeError, ValueError) as error:
        raise Invalid(f"Invalid data in this backup, {what}: {error}") from None
