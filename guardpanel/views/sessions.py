"""Login, logout and the theme."""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Query, Request, Response

from guardpanel.dependencies import (
    PanelDep,
    SessionDep,
    Viewer,
    client_address,
    identify,
    is_encrypted,
    session_cookie,
)
from guardpanel.errors import FieldError, TooManyAttempts, Unauthorized
from guardpanel.models.user import User
from guardpanel.panel import Panel
from guardpanel.services.accounts.sessions import LONGEST
from guardpanel.views.answers import THEME, THEMES, bare_page, local, redirect
from guardpanel.views.forms import Form

router = APIRouter()

Next = Annotated[str, Query(alias="next")]


@router.get("/login")
async def new(request: Request, session: SessionDep, panel: PanelDep, target: Next = "/") -> Response:
    if await identify(request, session, panel) is not None:
        return redirect(local(target))
    return await bare_page(request, "sessions/new.html", {"form": Form({}), "next": local(target)})


@router.post("/login")
async def create(request: Request, panel: PanelDep) -> Response:
    form = await Form.read(request)
    target = local(form.value("next"))
    try:
        user = await panel.accounts.log_in(form.value("email"), form.value("password"), client_address(request))
    except (Unauthorized, TooManyAttempts) as refused:
        form.errors = {"password": FieldError(refused.message)}
        context = {"form": form, "next": target}
        answer = await bare_page(request, "sessions/new.html", context, status_code=refused.status)
        if isinstance(refused, TooManyAttempts):
            answer.headers["retry-after"] = str(refused.retry_after)
        return answer
    return await enter(request, panel, user, target)


@router.post("/logout")
async def destroy(request: Request, panel: PanelDep, _viewer: Viewer) -> Response:
    await panel.accounts.sessions.end(request.cookies[session_cookie(request)])
    answer = redirect("/login")
    answer.delete_cookie(session_cookie(request), path="/", secure=is_encrypted(request), httponly=True)
    return answer


@router.post("/theme")
async def theme(request: Request, _viewer: Viewer) -> Response:
    chosen = (await Form.read(request)).value("theme")
    answer = redirect(came_from(request))
    answer.set_cookie(THEME, chosen if chosen in THEMES else "auto", max_age=31_536_000, httponly=True, samesite="lax")
    return answer


async def enter(request: Request, panel: Panel, user: User, url: str) -> Response:
    """Open a session with a new secret, end the previous one, and redirect to `url`."""
    if before := request.cookies.get(session_cookie(request)):
        await panel.accounts.sessions.end(before)
    secret = await panel.accounts.sessions.open(user, client_address(request))
    answer = redirect(url)
    answer.set_cookie(
        session_cookie(request),
        secret,
        max_age=int(LONGEST.total_seconds()),
        path="/",
        secure=is_encrypted(request),
        httponly=True,
        samesite="lax",
    )
    return answer


def came_from(request: Request) -> str:
    """The page that sent this form, if it is ours."""
    try:
        parts = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return "/"
    return local(parts.path + (f"?{parts.query}" if parts.query else ""))
