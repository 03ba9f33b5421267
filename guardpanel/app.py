"""The composition root: routers, middleware, start and end, and the one place where a problem becomes an answer."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, RedirectResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from guardpanel import __version__, static_files
from guardpanel.api import openapi, problems
from guardpanel.api import router as api_router
from guardpanel.dependencies import identify
from guardpanel.errors import NotFound, Problem, TooManyAttempts, Unauthorized
from guardpanel.middleware import Answer, BodyLimit, SameOrigin
from guardpanel.panel import Panel
from guardpanel.services import startup
from guardpanel.settings import Settings
from guardpanel.views import (
    changes, dashboard, policies, probes, saves, search, sessions, setup, system, virtual_hosts,
)  # fmt: skip
from guardpanel.views.pages import bare_page, page

log = logging.getLogger(__name__)

PAGES = (dashboard, virtual_hosts, policies, changes, system, search, saves, sessions, setup, probes)


def create_app(settings: Settings, *, supervise: bool = False) -> FastAPI:
    """The panel. With `supervise` it also starts and keeps HAProxy and the agent (`guardpanel up`)."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        panel = app.state.panel = await Panel.open(settings, supervise=supervise)
        if panel.supervisor is not None:
            panel.supervisor.start()
        starting = asyncio.create_task(bring_up(panel))
        try:
            yield
        finally:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            await panel.close()

    app = FastAPI(
        title="guardpanel", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None,
    )  # fmt: skip
    app.add_route("/static/{digest}/{path:path}", static_files.serve, include_in_schema=False)
    app.include_router(api_router)
    for view in PAGES:
        app.include_router(view.router, include_in_schema=False)
    app.add_exception_handler(Problem, answer_problem)
    app.add_exception_handler(RequestValidationError, answer_problem)
    app.add_exception_handler(HTTPException, answer_problem)
    app.add_exception_handler(Exception, answer_problem)
    app.add_middleware(BodyLimit)
    app.add_middleware(SameOrigin, trusted=settings.trusted_origins)
    app.add_middleware(Answer)
    openapi.install(app)
    return app


async def bring_up(panel: Panel) -> None:
    """Make the database's state live, beside the panel: its pages answer meanwhile."""
    try:
        panel.problem = await startup.bring_up(panel.changes)
    finally:
        panel.starting = False


async def answer_problem(request: Request, error: Exception) -> Response:
    """A problem document under /api, a page elsewhere; for people who are not logged in the way to the log-in page."""
    problem = as_problem(request, error)
    if request.url.path.startswith("/api/"):
        return problems.answer(request, problem)
    if isinstance(problem, Unauthorized):
        return to_log_in(request)
    headers = {"retry-after": str(problem.retry_after)} if isinstance(problem, TooManyAttempts) else {}
    shown = {"problem": {"status": problem.status, "message": problem.message, "title": None, "way_out": None}}
    panel: Panel = request.app.state.panel
    async with panel.database.read() as session:
        viewer = await identify(request, session, panel)
    request.state.viewer = viewer
    answer = (
        await page(request, "errors/error.html", shown, status_code=problem.status)
        if viewer is not None
        else await bare_page(request, "errors/bare.html", shown, status_code=problem.status)
    )
    answer.headers.update(headers)
    if problem.status == 405:
        answer.headers["allow"] = ", ".join(allowed(request))
    return answer


def as_problem(request: Request, error: Exception) -> Problem:
    match error:
        case Problem():
            return error
        case RequestValidationError():
            return problems.invalid(error)
        case HTTPException(status_code=404):
            return NotFound("There is nothing at this address.")
        case HTTPException():
            problem = Problem(str(error.detail))
            problem.status, problem.code = error.status_code, "http_error"
            return problem
        case _:
            log.error("request %s failed", request.scope["state"].get("request_id"), exc_info=error)
            return Problem("guardpanel failed. What runs goes on running; the log has the details under the request id.")


def to_log_in(request: Request) -> Response:
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    where = "/login" if target == "/" or request.method != "GET" else f"/login?next={quote(target, safe='')}"
    if "hx-request" in request.headers:
        return PlainTextResponse("Log in to go on.", 401, {"hx-redirect": where})
    return RedirectResponse(where, 303)


def allowed(request: Request) -> list[str]:
    """All methods of this path: Starlette names those of the first matching route alone."""
    methods: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return sorted(methods)


