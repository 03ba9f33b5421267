"""Accounts, login, and the one-time link of the first start."""

import secrets

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.background import Background
from guardpanel.database import Database
from guardpanel.errors import Conflict, Invalid, NotFound, Unauthorized
from guardpanel.models import Installation, User
from guardpanel.models.user import AccountFields, Role
from guardpanel.services.accounts.api_tokens import ApiTokens
from guardpanel.services.accounts.bearers import Bearers
from guardpanel.services.accounts.failed_logins import Attempts
from guardpanel.services.accounts.passwords import Passwords
from guardpanel.services.accounts.sessions import Sessions, digest
from guardpanel.services.accounts.tokens import Tokens
from guardpanel.services.saving.facts import SETUP

REFUSED = "Incorrect email or password."


class Accounts:
    def __init__(
        self, database: Database, passwords: Passwords | None = None, background: Background | None = None
    ) -> None:
        self.database = database
        self.passwords = passwords or Passwords()
        self.attempts = Attempts()
        background = background or Background()
        self.sessions = Sessions(database, background)
        self.api_tokens = ApiTokens(database, background)
        self.tokens = Tokens(database, self.sessions)
        self.bearers = Bearers(database, self.tokens, self.api_tokens)

    async def create(self, fields: AccountFields, role: Role) -> User:
        """Create an account. Raises Conflict (409) if the address has one."""
        hashed = await self.passwords.hash(fields.password)
        async with self.database.write() as session:
            if (await session.exec(select(User).where(col(User.email) == fields.email))).first():
                raise Conflict(f"An account already exists for {fields.email}.")
            user = User(email=fields.email, full_name=fields.full_name.strip(), role=role, password_hash=hashed)
            session.add(user)
            await session.flush()
        return user

    async def log_in(self, email: str, password: str, address: str) -> User:
        """The user. Raises Unauthorized (401), or TooManyAttempts (429) after many failures of an address or an account."""
        account = email.strip().lower()[:254]
        self.attempts.begin(address, account)
        async with self.database.read() as session:
            user = (await session.exec(select(User).where(col(User.email) == account))).first()
        active = user if user is not None and user.is_active else None
        if not await self.passwords.matches(active.password_hash if active else None, password) or active is None:
            raise Unauthorized(REFUSED)
        self.attempts.succeeded(address, account)
        if self.passwords.is_outdated(active.password_hash):
            await self._rehash(active, password)
        return active

    async def must_know_password(self, user: User, password: str, address: str) -> None:
        """Raises Invalid (422) unless it is this user's password: for actions that an open browser alone must not allow."""
        try:
            await self.log_in(user.email, password, address)
        except Unauthorized:
            raise Invalid.at("password", "Incorrect password.") from None

    async def _rehash(self, user: User, password: str) -> None:
        hashed = await self.passwords.hash(password)
        async with self.database.write() as session:
            row = await session.get(User, user.id)
            if row is not None:
                row.password_hash = hashed
                session.add(row)

    async def setup_token(self) -> str | None:
        """A new one-time setup token while there is no account. It replaces the previous one. Only its hash is stored."""
        token = secrets.token_urlsafe(32)
        async with self.database.write() as session:
            if await _has_users(session):
                return None
            row = await session.get(Installation, SETUP) or Installation(name=SETUP, value="")
            row.value = digest(token)
            session.add(row)
        return token

    async def may_set_up(self, session: AsyncSession, token: str) -> None:
        """Raises NotFound unless this is the newest token and there is no account yet."""
        row = await session.get(Installation, SETUP)
        if row is None or not secrets.compare_digest(row.value, digest(token)) or await _has_users(session):
            raise NotFound("This setup link is no longer valid. Log in, or restart guardpanel to get a new link.")

    async def set_up(self, token: str, fields: AccountFields) -> User:
        """Create the first account, an administrator's. The token ends with it."""
        hashed = await self.passwords.hash(fields.password)
        async with self.database.write() as session:
            await self.may_set_up(session, token)
            user = User(email=fields.email, full_name=fields.full_name.strip(), role=Role.ADMIN, password_hash=hashed)
            session.add(user)
            await session.delete(await session.get_one(Installation, SETUP))
            await session.flush()
        return user


async def _has_users(session: AsyncSession) -> bool:
    return (await session.exec(select(func.count(col(User.id))))).one() > 0
