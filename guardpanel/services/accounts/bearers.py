"""Who sends a token of the JSON API: read once, and remembered until the database changes or the token ends."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.database import Database
from guardpanel.models import ApiToken, User
from guardpanel.services.accounts.api_tokens import PREFIX, ApiTokens
from guardpanel.services.accounts.tokens import Tokens


@dataclass(frozen=True)
class Bearer:
    """`token`: of a script. None: a person logged in. `until`: so long it is remembered."""

    user: User
    token: ApiToken | None
    until: datetime


class Bearers:
    def __init__(self, database: Database, tokens: Tokens, api_tokens: ApiTokens) -> None:
        self._database = database
        self._tokens = tokens
        self._api_tokens = api_tokens
        self._version = -1
        self._known: dict[str, Bearer] = {}

    def known(self, secret: str) -> Bearer | None:
        """Whoever wrote since forgets all."""
        version = self._database.version()
        if version != self._version:
            self._version, self._known = version, {}
        bearer = self._known.get(secret)
        return bearer if bearer and bearer.until > datetime.now(UTC) else None

    async def find(self, session: AsyncSession, secret: str) -> Bearer | None:
        """Whose secret it is, while it lasts."""
        if known := self.known(secret):
            return known
        version = self._version
        bearer = await self._read(session, secret)
        if bearer and version == self._database.version():
            self._known[secret] = bearer
        return bearer

    async def _read(self, session: AsyncSession, secret: str) -> Bearer | None:
        if secret.startswith(PREFIX):
            script = await self._api_tokens.bearer(session, secret)
            return Bearer(*script) if script else None
        person = await self._tokens.user(session, secret)
        return Bearer(person[0], None, person[1]) if person else None
