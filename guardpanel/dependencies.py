"""Who is asking, and with what: annotated dependencies for views and the API."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, cast

from fastapi import Depends, Request
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import Forbidden, Unauthorized
from guardpanel.models import User
from guardpanel.panel import Panel

COOKIE = "gp_session"
REFRESH_COOKIE = "gp_refresh"
SEEN_EVERY = timedelta(minutes=1)

_noting: set[asyncio.Task[None]] = set()


def panel(request: Request) -> Panel:
    return cast(Panel, request.app.state.panel)


PanelDep = Annotated[Panel, Depends(panel)]


async def reading(panel: PanelDep) -> AsyncIterator[AsyncSession]:
    async with panel.database.read() as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(reading)]
"Reads only: every write goes through a service."


def session_cookie(request: Request) -> str:
    """Its name: with the `__Host-` prefix where the request came encrypted, which binds it to this host."""
    return f"__Host-{COOKIE}" if request.url.scheme == "https" else COOKIE


async def identify(request: Request, session: AsyncSession, panel: Panel) -> User | None:
    """The person behind a request: by bearer token under /api, by session cookie elsewhere."""
    if request.url.path.startswith("/api/"):
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return await panel.accounts.token_user(session, token.strip()) if scheme.lower() == "bearer" else None
    secret = request.cookies.get(session_cookie(request))
    found = await panel.accounts.session_user(session, secret) if secret else None
    if found is None:
        return None
    if datetime.now(UTC) - found[0].seen_at > SEEN_EVERY:
        task = asyncio.create_task(panel.accounts.seen(found[0].id or 0))
        _noting.add(task)
        task.add_done_callback(_noting.discard)
    return found[1]


async def viewer(request: Request, session: SessionDep, panel: PanelDep) -> User:
    """Somebody who is logged in, or Unauthorized (401)."""
    user = await identify(request, session, panel)
    if user is None:
        raise Unauthorized("Log in to go on.")
    request.state.viewer = user
    return user


Viewer = Annotated[User, Depends(viewer)]


async def editor(user: Viewer) -> User:
    """Somebody who may change things, or Forbidden (403)."""
    if not user.may_write:
        raise Forbidden("Your role may look at everything, but not change it.")
    return user


Editor = Annotated[User, Depends(editor)]


def client_address(request: Request) -> str:
    return request.client.host if request.client else ""
