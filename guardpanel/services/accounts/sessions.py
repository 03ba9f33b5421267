"""Server-side sessions. The browser has 256 random bits; the database only their SHA-256."""

import asyncio
import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.background import Background
from guardpanel.database import Database
from guardpanel.models import AccessToken, Session, User

IDLE, LONGEST = timedelta(hours=12), timedelta(days=7)
"A session ends after so long without a request, and after so long at all."

SEEN_EVERY = timedelta(minutes=1)
PAGES, API = "pages", "api"


class Sessions:
    def __init__(self, database: Database, background: Background) -> None:
        self.database = database
        self.background = background
        self._noting: dict[int, asyncio.Task[None]] = {}

    async def open(self, user: User, address: str, kind: str = PAGES) -> str:
        """A new session's secret."""
        secret = secrets.token_urlsafe(32)
        async with self.database.write() as session:
            await _forget_expired(session)
            session.add(Session(user_id=user.id or 0, secret_hash=digest(secret), kind=kind, address=address[:45]))
        return secret

    async def end(self, secret: str) -> None:
        """End it with everything that it gave out; nothing happens for an unknown one."""
        async with self.database.write() as session:
            await session.exec(delete(Session).where(col(Session.secret_hash) == digest(secret)))

    async def find(self, session: AsyncSession, secret: str, kind: str = PAGES) -> tuple[Session, User] | None:
        """Whose session it is, while it lasts."""
        row = (
            await session.exec(
                select(Session, User)
                .join(User, col(User.id) == col(Session.user_id))
                .where(col(Session.secret_hash) == digest(secret), col(Session.kind) == kind)
            )
        ).first()
        if row is None or not row[1].is_active or is_over(row[0]):
            return None
        return row[0], row[1]

    def note_seen(self, session: Session) -> None:
        """Remember that it is in use, at most once a minute and beside the request: a save may hold the writer."""
        number = session.id or 0
        if datetime.now(UTC) - session.seen_at > SEEN_EVERY and number not in self._noting:
            task = self._noting[number] = self.background.once("sessions", partial(self._note, number))
            task.add_done_callback(lambda _: self._noting.pop(number, None))

    async def _note(self, number: int) -> None:
        async with self.database.write() as session:
            row = await session.get(Session, number)
            if row is not None:
                row.seen_at = datetime.now(UTC)
                session.add(row)


def is_over(session: Session) -> bool:
    return end_of(session) < datetime.now(UTC)


def end_of(session: Session) -> datetime:
    """When it ends without a further request."""
    return min(session.seen_at + IDLE, session.created_at + LONGEST)


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


async def _forget_expired(session: AsyncSession) -> None:
    now = datetime.now(UTC)
    await session.exec(delete(AccessToken).where(col(AccessToken.expires_at) < now))
    await session.exec(
        delete(Session).where((col(Session.seen_at) < now - IDLE) | (col(Session.created_at) < now - LONGEST))
    )
