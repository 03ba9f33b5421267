"""Calls of the running panel's JSON API, for commands on its machine.

Whoever can write the panel's database can do anything, so no password is asked for: a command opens a session for an
administrator there, calls the panel with it, and ends it.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from guardpanel.cli.running import existing_database_of, run_or_say, settings_or_say

if TYPE_CHECKING:
    from guardpanel.database import Database
    from guardpanel.engines.http import Answer
    from guardpanel.models import User
    from guardpanel.services.accounts.tokens import Tokens
    from guardpanel.settings import Settings

T = TypeVar("T")

PATIENCE_SECONDS = 600.0
"A save may wait for engines, and for other saves."

LEAST_SECONDS = 2.0
"For a look at the panel, however little time is left."

Query = dict[str, str]


class Caller:
    """A session at the panel."""

    def __init__(self, settings: "Settings", tokens: "Tokens", access: str, refresh: str) -> None:
        self._settings, self._tokens = settings, tokens
        self.access, self._refresh = access, refresh

    async def call(
        self, method: str, target: str, query: Query | None = None, body: bytes = b"", kind: str = "application/json"
    ) -> "Answer":
        where = f"{target}?{urlencode(query)}" if query else target
        answer = await self._ask(method, where, body, kind)
        if answer.status == 401:  # A command that follows outlasts its access token.
            self.access = (await self._tokens.refresh(self._refresh)).access
            answer = await self._ask(method, where, body, kind)
        return answer

    async def read(self, target: str, query: Query | None = None) -> Any:
        return document(await self.call("GET", target, query))

    async def _ask(self, method: str, target: str, body: bytes, kind: str) -> "Answer":
        headers = {"authorization": f"Bearer {self.access}"} | ({"content-type": kind} if body else {})
        return await ask_panel(self._settings, method, target, headers, body)


def document(answer: "Answer") -> Any:
    """Raises Problem with the panel's words."""
    from guardpanel.errors import Problem

    content = json.loads(answer.body) if answer.body else {}
    if answer.status >= 400:
        # Its `detail` says how programs confirm it.
        errors = content.get("errors", []) if content.get("code") == "needs_confirmation" else []
        warnings = " ".join(dict.fromkeys(error["message"] for error in errors))
        words = f"{warnings} Use --confirm to accept this." if warnings else content.get("detail", answer.status)
        raise Problem(str(words))
    return content


def calling(work: Callable[[Caller], Awaitable[T]], email: str = "") -> T:
    """Its result. Ends the command with a sentence if the panel does not run. `email`: whose calls these are."""
    return run_or_say(_calling(work, email))


async def _calling(work: Callable[[Caller], Awaitable[T]], email: str) -> T:
    async with _caller(settings_or_say(), email) as caller:
        return await work(caller)


@asynccontextmanager
async def _caller(settings: "Settings", email: str) -> AsyncIterator[Caller]:
    from guardpanel.services.accounts.accounts import Accounts

    await must_run(settings)
    database = existing_database_of(settings)
    try:
        tokens = Accounts(database).tokens
        pair = await tokens.first(await _account(database, email), "")
        caller = Caller(settings, tokens, pair.access, pair.refresh)
        try:
            yield caller
        finally:
            await tokens.end(caller.access)
    finally:
        await database.close()


async def must_run(settings: "Settings") -> None:
    """Raises EngineUnavailable."""
    from guardpanel.errors import EngineUnavailable

    try:
        await ask_panel(settings, "GET", "/healthz", {}, timeout=10)
    except EngineUnavailable as error:
        where = f"{settings.listen} (GUARDPANEL_LISTEN)"
        raise EngineUnavailable(f"The panel does not respond at {where}. Start it, then try again.") from error


async def ask_panel(
    settings: "Settings",
    method: str,
    target: str,
    headers: dict[str, str],
    body: bytes = b"",
    timeout: float = PATIENCE_SECONDS,
) -> "Answer":
    from guardpanel.engines.http import ask
    from guardpanel.engines.proxy_lines import local
    from guardpanel.listen_addresses import host_and_port

    host, port = host_and_port(settings.listen)
    tls_name = "" if settings.serves_tls else None
    headers = {"host": settings.listen, **headers}
    return await ask(
        (local(host), port), method, target, headers=headers, body=body, tls_name=tls_name, timeout=timeout
    )


async def _account(database: "Database", email: str) -> "User":
    """The administrator with this address, or the only one. Raises NotFound or Conflict."""
    from sqlmodel import col, select

    from guardpanel.errors import Conflict, NotFound
    from guardpanel.models import User
    from guardpanel.models.user import Role

    async with database.read() as session:
        query = select(User).where(User.role == Role.ADMIN, col(User.is_active)).order_by(col(User.id))
        administrators = (await session.exec(query)).all()
    named = [user for user in administrators if user.email == email.strip().lower()] if email else administrators
    if not named:
        none = "There is no administrator yet. Create one: guardpanel user create EMAIL --role admin"
        raise NotFound(f"Administrator {email} not found." if email else none)
    if len(named) > 1:
        several = ", ".join(user.email for user in named[:5])
        raise Conflict(f"There are several administrators. Say whose call it is: --as EMAIL ({several}).")
    return named[0]


async def until_live(settings: "Settings", email: str, timeout: float) -> str:
    """Why it is not live in time. Empty: it is."""
    import asyncio
    from time import monotonic

    from guardpanel.errors import Problem

    ends, problem = monotonic() + timeout, ""
    while True:
        try:
            async with (
                asyncio.timeout(max(ends - monotonic(), LEAST_SECONDS)),
                _caller(settings, email) as caller,
            ):
                status = await caller.read("/api/v1/runtime/status")
            if status["state"] == "ok":
                return ""
            problem = status["words"]
        except TimeoutError:
            problem = problem or "The panel did not respond in time."
        except Problem as error:
            problem = error.message
        if monotonic() >= ends:
            return problem
        await asyncio.sleep(0.5)
