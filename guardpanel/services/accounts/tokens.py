"""Access tokens of the JSON API: short-lived. The session's secret (the refresh cookie) creates new ones."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.database import Database
from guardpanel.errors import Unauthorized
from guardpanel.models import AccessToken, Session, User
from guardpanel.services.accounts.sessions import API, Sessions, digest, end_of, is_over

ACCESS = timedelta(minutes=15)


@dataclass(frozen=True)
class TokenPair:
    """The result of a JSON login: an access token, and the secret that refreshes it."""

    access: str
    refresh: str
    expires_in: int


class Tokens:
    def __init__(self, database: Database, sessions: Sessions) -> None:
        self.database = database
        self.sessions = sessions

    async def first(self, user: User, address: str) -> TokenPair:
        """The tokens of a new session."""
        return await self.refresh(await self.sessions.open(user, address, API))

    async def refresh(self, secret: str) -> TokenPair:
        """A new access token. The secret stays the same, since two tabs may refresh at once. Logout ends it."""
        access, now = "gp_" + secrets.token_urlsafe(32), datetime.now(UTC)
        async with self.database.write() as session:
            session_and_user = await self.sessions.find(session, secret, API)
            if session_and_user is None:
                raise Unauthorized("Log in again.")
            row = session_and_user[0]
            row.seen_at = now
            session.add(row)
            await session.exec(
                delete(AccessToken).where(col(AccessToken.session_id) == row.id, col(AccessToken.expires_at) < now)
            )
            session.add(AccessToken(session_id=row.id or 0, secret_hash=digest(access), expires_at=now + ACCESS))
        return TokenPair(access, secret, int(ACCESS.total_seconds()))

    async def user(self, session: AsyncSession, access: str) -> tuple[User, datetime] | None:
        """The token's user, while it and its session are valid, and when that ends."""
        row = (
            await session.exec(
                select(Session, User, AccessToken.expires_at)
                .join(User, col(User.id) == col(Session.user_id))
                .join(AccessToken, col(AccessToken.session_id) == col(Session.id))
                .where(col(AccessToken.secret_hash) == digest(access), col(AccessToken.expires_at) > datetime.now(UTC))
            )
        ).first()
        if row is None or not row[1].is_active or is_over(row[0]):
            return None
        return row[1], min(end_of(row[0]), row[2])

    async def end(self, access: str) -> None:
        """End the session of this token. An unknown token is ignored."""
        async with self.database.write() as session:
            owner = select(AccessToken.session_id).where(col(AccessToken.secret_hash) == digest(access))
            await session.exec(delete(Session).where(col(Session.id).in_(owner)))
