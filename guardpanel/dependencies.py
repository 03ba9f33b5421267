"""Dependencies of views and API: the user, sessions and services of a request."""

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, cast

from fastapi import Depends, Path, Request
from fastapi.dependencies.models import Dependant
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import Forbidden, NotFound, Problem, Unauthorized
from guardpanel.models import ApiToken, User
from guardpanel.panel import Panel

COOKIE = "gp_session"
REFRESH_COOKIE = "gp_refresh"
API = "/api/"


# FastAPI runs a dependency that is no coroutine in a thread: that takes longer than all that these do.


def panel(request: Request) -> Panel:
    return cast("Panel", request.app.state.panel)


async def _panel(request: Request) -> Panel:
    return panel(request)


PanelDep = Annotated[Panel, Depends(_panel)]


async def reading(request: Request, panel: PanelDep) -> AsyncIterator[AsyncSession]:
    async with panel.database.read() as session:
        # Whatever draws the page reads through the same session: two connections per request could exhaust the pool.
        request.state.session = session
        yield session


SessionDep = Annotated[AsyncSession, Depends(reading)]
"For reads only: every write goes through a service."


async def anew(session: AsyncSession) -> None:
    """End the read transaction: the next read sees the current state, and no connection is held while waiting."""
    session.expunge_all()
    await session.rollback()


def is_encrypted(request: Request) -> bool:
    return str(request.scope["scheme"]) == "https"


def is_api(request: Request) -> bool:
    """By the routed path. `request.url` contains the Host header, which the client controls."""
    return str(request.scope["path"]).startswith(API)


def session_cookie(request: Request) -> str:
    """The cookie's name. On encrypted connections it has the `__Host-` prefix, which binds it to this host."""
    return f"__Host-{COOKIE}" if is_encrypted(request) else COOKIE


def bearer_token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def identify(request: Request, session: AsyncSession, panel: Panel) -> User | None:
    """The user of a request: by bearer token under /api, by session cookie elsewhere."""
    if is_api(request):
        return await _bearer(request, session, panel, bearer_token(request))
    secret = request.cookies.get(session_cookie(request))
    session_and_user = await panel.accounts.sessions.find(session, secret) if secret else None
    if session_and_user is None:
        return None
    panel.accounts.sessions.note_seen(session_and_user[0])
    return session_and_user[1]


async def _bearer(request: Request, session: AsyncSession, panel: Panel, secret: str) -> User | None:
    bearer = await panel.accounts.bearers.find(session, secret) if secret else None
    if bearer is None:
        return None
    request.state.viewer_until, request.state.token = bearer.until, bearer.token
    user: User = bearer.user
    return user


def token_of(request: Request) -> ApiToken | None:
    """The API token that a request was identified by."""
    return getattr(request.state, "token", None)


async def viewer(request: Request, session: SessionDep, panel: PanelDep) -> User:
    """The user. Raises Unauthorized (401) without a login."""
    user = await identify(request, session, panel)
    if user is None:
        raise Unauthorized("Log in to continue.")
    request.state.viewer = user
    return user


Viewer = Annotated[User, Depends(viewer)]


async def editor(user: Viewer, session: SessionDep) -> User:
    """A user who may change things. Raises Forbidden (403) otherwise."""
    await session.commit()  # A save may wait for others: release the connection.
    if not user.may_write:
        raise Forbidden("You have view-only access. Ask an administrator to make this change.")
    return user


Editor = Annotated[User, Depends(editor)]


async def administrator(request: Request, user: Editor) -> User:
    """A person who may change things. Raises Forbidden (403) for API tokens: one that leaked must not make others."""
    if token_of(request):
        raise Forbidden("API tokens can’t do this. Log in with an account.")
    return user


Administrator = Annotated[User, Depends(administrator)]


async def refusal(request: Request) -> Problem | None:
    """Why the user may not do this at all, for bodies that can't be read: FastAPI reads them before it asks who may."""
    panel: Panel = request.app.state.panel
    calls = set(_calls(getattr(request.scope.get("route"), "dependant", None)))
    try:
        async with panel.database.read() as session:
            if viewer in calls:
                user = await viewer(request, session, panel)
            if editor in calls:
                await editor(user, session)
            if administrator in calls:
                await administrator(request, user)
    except (Unauthorized, Forbidden) as problem:
        return problem
    return None


def _calls(dependant: Dependant | None) -> Iterator[object]:
    """What a route depends on. `administrator` depends on `editor`, and that on `viewer`."""
    for inner in dependant.dependencies if dependant else ():
        yield inner.call
        yield from _calls(inner)


RowId = Annotated[int, Path(ge=1, le=2**53)]
"An id in a path. Anything else is 404. JavaScript's numbers are exact up to this one."


async def id_in_path(request: Request) -> int:
    """The last id in the path, whatever the route calls it."""
    return number_in_path(request, list(request.path_params)[-1])


def number_in_path(request: Request, name: str) -> int:
    """Raises NotFound (404) if no row can have this id."""
    text = str(request.path_params[name])
    if not (text.isascii() and text.isdigit() and len(text) < 17 and 1 <= int(text) <= 2**53):
        raise NotFound("Page not found.")
    return int(text)


IdInPath = Annotated[int, Depends(id_in_path)]


def client_address(request: Request) -> str:
    return request.client.host if request.client else ""
