"""API tokens: made for scripts, shown once, and revoked. A script has 256 random bits; the database only their SHA-256."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.background import Background
from guardpanel.database import Database
from guardpanel.errors import EXISTS, Conflict, FieldError, NotFound
from guardpanel.field_codes import FieldCode
from guardpanel.models import ApiToken, User
from guardpanel.models.api_token import ApiTokenFields, TokenRole
from guardpanel.models.user import Role
from guardpanel.services.accounts.sessions import SEEN_EVERY, digest
from guardpanel.services.paging import Key

PREFIX = "gpt_"
"Of every secret: other tokens begin with `gp_`."

ROLES = {TokenRole.READ: Role.VIEWER, TokenRole.OPERATE: Role.ADMIN}

KEPT = timedelta(minutes=1)
"How long a token may be taken for valid without asking again. What ends it earlier changes the database."


class ApiTokens:
    def __init__(self, database: Database, background: Background) -> None:
        self.database = database
        self.background = background
        self._noting: dict[int, asyncio.Task[None]] = {}

    async def create(self, fields: ApiTokenFields, who: str) -> tuple[ApiToken, str]:
        """The token and its secret, which is stored nowhere. Raises Conflict (409) if another one has the name."""
        secret, now = PREFIX + secrets.token_urlsafe(32), datetime.now(UTC)
        token = ApiToken(
            name=fields.name, role=fields.role, requires_if_match=fields.requires_if_match, secret_hash=digest(secret),
            created_by=who, created_at=now, expires_at=fields.expires_at(now),
        )  # fmt: skip
        async with self.database.write() as session:
            if (await session.exec(select(ApiToken).where(col(ApiToken.name) == fields.name))).first():
                raise Conflict(
                    EXISTS, {"name": FieldError(f"A token named {fields.name} exists already.", code=FieldCode.TAKEN)}
                )
            session.add(token)
            await session.flush()
        return token, secret

    async def revoke(self, token_id: int) -> ApiToken:
        """End it now. Raises NotFound (404)."""
        async with self.database.write() as session:
            token = await session.get(ApiToken, token_id)
            if token is None:
                raise NotFound("Token not found.")
            await session.delete(token)
        return token

    async def bearer(self, session: AsyncSession, secret: str) -> tuple[User, ApiToken, datetime] | None:
        """Who the token acts as, while it lasts, and until when it may be taken for valid. Its name is the author of what it
        changes."""
        now = datetime.now(UTC)
        token = (await session.exec(select(ApiToken).where(col(ApiToken.secret_hash) == digest(secret)))).first()
        if token is None or token.is_over(now):
            return None
        self._note_used(token, now)
        user = User(id=0, email=f"token {token.name}", role=ROLES[token.role], password_hash="")
        return user, token, min(now + KEPT, token.expires_at or now + KEPT)

    def _note_used(self, token: ApiToken, now: datetime) -> None:
        """At most once a minute and beside the request: a save may hold the writer."""
        number = token.id or 0
        if (token.used_at is None or now - token.used_at > SEEN_EVERY) and number not in self._noting:
            task = self._noting[number] = self.background.once("sessions", partial(self._note, number))
            task.add_done_callback(lambda _: self._noting.pop(number, None))

    async def _note(self, number: int) -> None:
        async with self.database.write() as session:
            token = await session.get(ApiToken, number)
            if token is not None:
                token.used_at = datetime.now(UTC)
                session.add(token)


async def all_tokens(session: AsyncSession) -> list[ApiToken]:
    """By name, expired ones too."""
    return sorted((await session.exec(select(ApiToken))).all(), key=key_of)


def key_of(token: ApiToken) -> Key:
    return token.name, token.id or 0
