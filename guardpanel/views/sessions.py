"""Logging in and out."""

from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response

from guardpanel.dependencies import PanelDep, SessionDep, Viewer, client_address, identify, session_cookie
from guardpanel.errors import FieldError, TooManyAttempts, Unauthorized
from guardpanel.models.user import User
from guardpanel.views.forms import Form
from guardpanel.views.pages import THEME, THEMES, bare_page, redirect

router = APIRouter()


@router.get("/login")
async def new(request: Request, session: SessionDep, panel: PanelDep, next: str = "/") -> Response:
    if await identify(request, session, panel) is not None:
        return redirect(local(next))
    return await bare_page(request, "sessions/new.html", {"form": Form({}), "next": local(next)})


@router.post("/login")
async def create(request: Request, panel: PanelDep) -> Response:
    form = await Form.read(request)
    try:
        user = await panel.accounts.log_in(form.value("email"), form.value("password"), client_address(request))
    except (Unauthorized, TooManyAttempts) as refused:
        form.errors = {"password": FieldError(refused.message)}
        context = {"form": form, "next": local(form.value("next"))}
        answer = await bare_page(request, "sessions/new.html", context, status_code=refused.status)
        if isinstance(refused, TooManyAttempts):
            answer.headers["retry-after"] = str(refused.retry_after)
        return answer
    return await enter(request, panel, user, local(form.value("next")))


@router.post("/logout")
async def destroy(request: Request, panel: PanelDep, _viewer: Viewer) -> Response:
    await panel.accounts.close_session(request.cookies.get(session_cookie(request), ""))
    answer = redirect("/login")
    answer.delete_cookie(session_cookie(request), path="/", secure=request.url.scheme == "https", httponly=True)
    return answer


@router.post("/theme")
async def theme(request: Request, _viewer: Viewer) -> Response:
    chosen = (await Form.read(request)).value("theme")
    answer = redirect(local(urlsplit(request.headers.get("referer", "/")).path))
    answer.set_cookie(THEME, chosen if chosen in THEMES else "auto", max_age=31_536_000, httponly=True, samesite="lax")
    return answer


async def enter(request: Request, panel: PanelDep, user: User, url: str) -> Response:
    """Open a session with a new secret and go on to `url`."""
    secret = await panel.accounts.open_session(user, client_address(request))
    answer = redirect(url)
    secure = request.url.scheme == "https"
    answer.set_cookie(
        session_cookie(request), secret, max_age=7 * 86_400, path="/", secure=secure, httponly=True, samesite="lax"
    )
    return answer


def local(url: str) -> str:
    """A path of this panel; anything else, and what a browser could read as another host, is the dashboard."""
    parts = urlsplit(url)
    if parts.scheme or parts.netloc or not url.startswith("/") or url[1:2] in {"/", "\\"} or "\\" in url or not url.isprintable():
        return "/"
    return url
