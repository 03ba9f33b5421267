"""Who may come in: accounts, log-in, sessions, and the one-time link of the first start."""

import asyncio
import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlmodel import col, delete, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.database import Database
from guardpanel.errors import Conflict, NotFound, Unauthorized
from guardpanel.models import AccessToken, Installation, Session, User
from guardpanel.models.user import AccountFields, Role
from guardpanel.services.attempts import Attempts

IDLE, LONGEST = timedelta(hours=12), timedelta(days=7)
"A session ends after so long without a request, and after so long at all."

ACCESS = timedelta(minutes=15)
SETUP = "setup_token"
REFUSED = "The e-mail address or the password is wrong."


class Passwords:
    """Argon2id (OWASP: 19 MiB, two passes), off the event loop, two at a time."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self.hasher = hasher or PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._two = asyncio.Semaphore(2)
        self._nobody = self.hasher.hash(secrets.token_hex())

    async def hash(self, password: str) -> str:
        async with self._two:
            return await asyncio.to_thread(self.hasher.hash, password)

    async def matches(self, stored: str | None, password: str) -> bool:
        """Takes as long for an unknown account (None) as for a known one."""
        async with self._two:
            return await asyncio.to_thread(self._matches, stored, password)

    def _matches(self, stored: str | None, password: str) -> bool:
        try:
            self.hasher.verify(stored or self._nobody, password)
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None


@dataclass(frozen=True)
class Tokens:
    """What a JSON log-in gives: a short-lived access token, and the secret that refreshes it."""

    access: str
    refresh: str
    expires_in: int


class Accounts:
    def __init__(self, database: Database, passwords: Passwords | None = None) -> None:
        self.database = database
        self.passwords = passwords or Passwords()
        self.attempts = Attempts()

    async def create(self, fields: AccountFields, role: Role) -> User:
        """A new account. Conflict (409) if the address has one."""
        digest = await self.passwords.hash(fields.password)
        async with self.database.write() as session:
            if (await session.exec(select(User).where(col(User.email) == fields.email))).first():
                raise Conflict(f"There is already an account for {fields.email}.")
            user = User(email=fields.email, full_name=fields.full_name.strip(), role=role, password_hash=digest)
            session.add(user)
            await session.flush()
        return user

    async def log_in(self, email: str, password: str, address: str) -> User:
        """The user, or Unauthorized (401); TooManyAttempts (429) after many failures of an address or an account."""
        keys = (f"address {address}", f"account {email.strip().lower()[:254]}")
        self.attempts.allow(keys)
        async with self.database.read() as session:
            user = (await session.exec(select(User).where(col(User.email) == email.strip().lower()))).first()
        active = user if user is not None and user.is_active else None
        if not await self.passwords.matches(active.password_hash if active else None, password[:1024]) or active is None:
            self.attempts.failed(keys)
            raise Unauthorized(REFUSED)
        self.attempts.forget(keys)
        if self.passwords.hasher.check_needs_rehash(active.password_hash):
            await self._rehash(active, password)
        return active

    async def _rehash(self, user: User, password: str) -> None:
        digest = await self.passwords.hash(password)
        async with self.database.write() as session:
            row = await session.get(User, user.id)
            if row is not None:
                row.password_hash = digest
                session.add(row)

    async def open_session(self, user: User, address: str, kind: str = "pages") -> str:
        """A new session's secret: 256 random bits, kept only as their SHA-256."""
        secret = secrets.token_urlsafe(32)
        async with self.database.write() as session:
            await _forget_expired(session)
            session.add(Session(user_id=user.id or 0, secret_hash=_digest(secret), kind=kind, address=address[:45]))
        return secret

    async def close_session(self, secret: str) -> None:
        async with self.database.write() as session:
            await session.exec(delete(Session).where(col(Session.secret_hash) == _digest(secret)))

    async def session_user(self, session: AsyncSession, secret: str, kind: str = "pages") -> tuple[Session, User] | None:
        """Whose session it is, while it lasts."""
        found = (
            await session.exec(
                select(Session, User)
                .join(User, col(User.id) == col(Session.user_id))
                .where(col(Session.secret_hash) == _digest(secret), col(Session.kind) == kind)
            )
        ).first()
        if found is None or not found[1].is_active or _is_over(found[0]):
            return None
        return found[0], found[1]

    async def seen(self, session_id: int) -> None:
        """Note that a session is in use. Never in the way of a request: callers do not wait for it."""
        async with self.database.write() as session:
            row = await session.get(Session, session_id)
            if row is not None:
                row.seen_at = datetime.now(UTC)
                session.add(row)

    async def tokens(self, user: User, address: str) -> Tokens:
        secret = await self.open_session(user, address, "api")
        async with self.database.read() as session:
            found = await self.session_user(session, secret, "api")
        if found is None:
            raise Unauthorized(REFUSED)
        return await self._access(found[0], secret)

    async def refresh(self, secret: str) -> Tokens:
        """A new access token. The secret stays: two tabs may refresh at once; log-out ends it."""
        async with self.database.read() as session:
            found = await self.session_user(session, secret, "api")
        if found is None:
            raise Unauthorized("Log in again.")
        return await self._access(found[0], secret)

    async def _access(self, api_session: Session, secret: str) -> Tokens:
        access = "gp_" + secrets.token_urlsafe(32)
        async with self.database.write() as session:
            row = await session.get(Session, api_session.id)
            if row is None:
                raise Unauthorized("Log in again.")
            row.seen_at = datetime.now(UTC)
            session.add(row)
            session.add(
                AccessToken(session_id=row.id or 0, secret_hash=_digest(access), expires_at=datetime.now(UTC) + ACCESS)
            )
        return Tokens(access, secret, int(ACCESS.total_seconds()))

    async def token_user(self, session: AsyncSession, access: str) -> User | None:
        found = (
            await session.exec(
                select(User)
                .join(Session, col(Session.user_id) == col(User.id))
                .join(AccessToken, col(AccessToken.session_id) == col(Session.id))
                .where(col(AccessToken.secret_hash) == _digest(access), col(AccessToken.expires_at) > datetime.now(UTC))
            )
        ).first()
        return found if found is not None and found.is_active else None

    async def setup_token(self) -> str | None:
        """A new one-time set-up token while there is no account; the one before it ends. Kept only as its hash."""
        token = secrets.token_urlsafe(32)
        async with self.database.write() as session:
            if (await session.exec(select(func.count(col(User.id))))).one():
                return None
            row = await session.get(Installation, SETUP) or Installation(name=SETUP, value="")
            row.value = _digest(token)
            session.add(row)
        return token

    async def may_set_up(self, session: AsyncSession, token: str) -> None:
        """NotFound unless the token is the newest one and there is no account yet."""
        row = await session.get(Installation, SETUP)
        users = (await session.exec(select(func.count(col(User.id))))).one()
        if users or row is None or not secrets.compare_digest(row.value, _digest(token)):
            raise NotFound("This set-up link was used or is not the newest one. Restart guardpanel for a new one, or log in.")

    async def set_up(self, token: str, fields: AccountFields) -> User:
        """The first account, an administrator's. The token ends with it."""
        digest = await self.passwords.hash(fields.password)
        async with self.database.write() as session:
            await self.may_set_up(session, token)
            user = User(email=fields.email, full_name=fields.full_name.strip(), role=Role.ADMIN, password_hash=digest)
            session.add(user)
            await session.delete(await session.get_one(Installation, SETUP))
            await session.flush()
        return user


async def _forget_expired(session: AsyncSession) -> None:
    now = datetime.now(UTC)
    await session.exec(delete(AccessToken).where(col(AccessToken.expires_at) < now))
    await session.exec(
        delete(Session).where((col(Session.seen_at) < now - IDLE) | (col(Session.created_at) < now - LONGEST))
    )


def _is_over(session: Session) -> bool:
    now = datetime.now(UTC)
    return session.seen_at < now - IDLE or session.created_at < now - LONGEST


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
