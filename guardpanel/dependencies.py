"""Who is asking, and with what: annotated dependencies for views and the API."""

from collections.abc import AsyncIterator
from typing import Annotated, cast

from fastapi import Depends, Path, Request
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import Forbidden, NotFound, Unauthorized
from guardpanel.models import User
from guardpanel.panel import Panel

COOKIE = "gp_session"
REFRESH_COOKIE = "gp_refresh"
API = "/api/"


def panel(request: Request) -> Panel:
    return cast("Panel", request.app.state.panel)


PanelDep = Annotated[Panel, Depends(panel)]


async def reading(request: Request, panel: PanelDep) -> AsyncIterator[AsyncSession]:
    async with panel.database.read() as session:
        # Whatever draws the page reads through the same session: two connections for one request can run out.
        request.state.session = session
        yield session


SessionDep = Annotated[AsyncSession, Depends(reading)]
"Reads only: every write goes through a service."


async def anew(session: AsyncSession) -> None:
    """End what was read: what is read next is what is there now, and whoever waits keeps no connection meanwhile."""
    session.expunge_all()
    await session.rollback()


def is_encrypted(request: Request) -> bool:
    return str(request.scope["scheme"]) == "https"


def is_api(request: Request) -> bool:
    """By the path that was routed: `request.url` is put together with the Host header that the client chose."""
    return str(request.scope["path"]).startswith(API)


def session_cookie(request: Request) -> str:
    """Its name: with the `__Host-` prefix where the request came encrypted, which binds it to this host."""
    return f"__Host-{COOKIE}" if is_encrypted(request) else COOKIE


def bearer_token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def identify(request: Request, session: AsyncSession, panel: Panel) -> User | None:
    """The person behind a request: by bearer token under /api, by session cookie elsewhere."""
    if is_api(request):
        token = bearer_token(request)
        return await panel.accounts.tokens.user(session, token) if token else None
    secret = request.cookies.get(session_cookie(request))
    session_and_user = await panel.accounts.sessions.find(session, secret) if secret else None
    if session_and_user is None:
        return None
    panel.accounts.sessions.note_seen(session_and_user[0])
    return session_and_user[1]


async def viewer(request: Request, session: SessionDep, panel: PanelDep) -> User:
    """Somebody who is logged in, or Unauthorized (401)."""
    user = await identify(request, session, panel)
    if user is None:
        raise Unauthorized("Log in to continue.")
    request.state.viewer = user
    return user


Viewer = Annotated[User, Depends(viewer)]


async def editor(user: Viewer, session: SessionDep) -> User:
    """Somebody who may change things, or Forbidden (403)."""
    await session.commit()  # a save may wait for others: it keeps no connection meanwhile
    if not user.may_write:
        raise Forbidden("You have view-only access. Ask an administrator to make this change.")
    return user


Editor = Annotated[User, Depends(editor)]


RowId = Annotated[int, Path(ge=1, le=2**53)]
"In a path; anything else is 404. JavaScript's numbers are exact up to there."


def id_in_path(request: Request) -> int:
    """The id of a page that every noun has, whatever its route calls it: the last in the path."""
    return number_in_path(request, list(request.path_params)[-1])


def number_in_path(request: Request, name: str) -> int:
    """NotFound (404) if it is none that a row can have."""
    text = str(request.path_params[name])
    if not (text.isascii() and text.isdigit() and len(text) < 17 and 1 <= int(text) <= 2**53):
        raise NotFound("Page not found.")
    return int(text)


IdInPath = Annotated[int, Depends(id_in_path)]


def client_address(request: Request) -> str:
    return request.client.host if request.client else ""
