"""The composition root: routers, middleware, startup and shutdown, and the one place where a problem becomes a response."""

import asyncio
import gc
import logging
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from importlib import import_module
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, RedirectResponse
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.routing import compile_path
from starlette.types import Receive, Scope, Send

from guardpanel import __version__, slow_steps, static_files
from guardpanel.api import openapi, problems
from guardpanel.api import router as api_router
from guardpanel.api.idempotent import Idempotent
from guardpanel.api.kept_answers import KeptAnswers
from guardpanel.dependencies import identify, is_api, refusal
from guardpanel.engines.tls.panel_tls import PanelTls
from guardpanel.errors import NotFound, Problem, TooManyAttempts, Unauthorized
from guardpanel.middleware import Answer, BodyLimit, SameOrigin, dress
from guardpanel.models import NOUNS
from guardpanel.panel import REAL, Panel, Parts
from guardpanel.settings import Settings
from guardpanel.views import (
    access,
    access_log,
    api_pages,
    backups,
    bans,
    changes,
    comparison,
    dashboard,
    drift,
    event_groups,
    events,
    feeds,
    fix_streams,
    fixes,
    importing,
    ledger,
    orders,
    probes,
    profiles,
    recorded_requests,
    request_counts,
    request_tests,
    rules,
    saves,
    search,
    sessions,
    setup,
    system,
    tokens,
)
from guardpanel.views.answers import bare_page, compile_templates, page

log = logging.getLogger(__name__)

SWITCH_INTERVAL_SECONDS = 0.001
"Seconds (Python's default: 0.005) after which a rendering thread yields to a page. A page needs many turns."

GC_AFTER = 20_000
"""New objects (Python's default: 700) between two garbage collections. The rows of thousands of virtual hosts are as many lists.
With few old objects, nearly every collection was a full one."""

PAGES = (
    *(import_module(f"guardpanel.views.{noun.module}") for noun in NOUNS.values()),
    dashboard, access, bans, feeds, events, event_groups, fixes, fix_streams, ledger, rules, profiles, comparison,
    request_tests, changes, drift, system, tokens, backups, importing, orders, search, saves, sessions, setup, probes,
    recorded_requests, access_log, request_counts, api_pages,
)  # fmt: skip


def add_pages(app: FastAPI) -> None:
    """Not as included routers: of each route in one, FastAPI keeps its own and another one that is in effect."""
    for route in (route for view in PAGES for route in view.router.routes):
        assert isinstance(route, APIRoute)  # noqa: S101 a router within one would be included with what it depends on
        route.include_in_schema = False
        app.router.routes.append(route)


def warm_up(app: FastAPI) -> None:
    """Prepare what the first request would build on the event loop: templates, and FastAPI's route metadata."""
    compile_templates()
    for route in app.routes:
        route.matches({"type": "http", "method": "GET", "path": "/", "root_path": "", "headers": []})


def stay_responsive() -> None:
    """Once everything is loaded: a full garbage collection over all of it would block every request for 0.1 s."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_AFTER, 20, 20)
    gc.enable()
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)


def create_app(
    settings: Settings, *, supervise: bool = False, parts: Parts = REAL, tls: PanelTls | None = None
) -> FastAPI:
    """Create the panel. With `supervise` it also starts HAProxy and the agent and keeps them running (`guardpanel up`). With
    `tls` its server uses that, and the panel cares for the certificate."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        panel = app.state.panel = await Panel.open(settings, supervise=supervise, parts=parts, tls=tls)
        panel.start()
        await asyncio.to_thread(warm_up, app)
        stay_responsive()
        try:
            with slow_steps.watched(settings.slow_step_ms / 1000):
                yield
        finally:
            await panel.close()

    app = FastAPI(
        title="guardpanel",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        generate_unique_id_function=openapi.operation_id,
    )
    app.add_route("/static/{digest}/{path:path}", static_files.serve, include_in_schema=False)
    app.include_router(api_router)
    add_pages(app)
    # FastAPI nests a lifespan for each router above: each step of the startup would pass through all of them. None has one.
    app.router.lifespan_context = lifespan
    app.add_exception_handler(Problem, answer_problem)
    app.add_exception_handler(RequestValidationError, answer_problem)
    app.add_exception_handler(HTTPException, answer_problem)
    app.add_exception_handler(Exception, answer_failure)
    app.add_middleware(Idempotent, refuse=refuse)
    app.add_middleware(BodyLimit, refuse=refuse)
    app.add_middleware(SameOrigin, trusted=settings.trusted_origins, refuse=refuse)
    app.add_middleware(KeptAnswers)
    app.add_middleware(Answer, hsts=tls is None)
    openapi.install(app)
    return app


async def answer_problem(request: Request, error: Exception) -> Response:
    """A problem document under /api, otherwise a page. Visitors who are not logged in are redirected to the login page."""
    problem = as_problem(error)
    if problem.status == 400 and is_api(request):
        problem = await refusal(request) or problem
    if is_api(request):
        answer: Response = problems.answer(request, problem)
    elif isinstance(problem, Unauthorized):
        return to_log_in(request)
    else:
        answer = await page_of(request, problem)
    if isinstance(problem, TooManyAttempts):
        answer.headers["retry-after"] = str(problem.retry_after)
    if problem.status == 405:
        answer.headers["allow"] = ", ".join(allowed(request))
    return answer


async def answer_failure(request: Request, error: Exception) -> Response:
    """An internal error: details go to the log, the response has only the request id. Reads nothing, since nothing may work."""
    request_id = request.scope["state"].get("request_id")
    log.error("request %s failed", request_id, exc_info=error)
    problem = Problem(f"Internal error. HAProxy keeps running. Search guardpanel’s log for request {request_id}.")
    answer = (
        problems.answer(request, problem)
        if is_api(request)
        else await bare_page(request, "errors/bare.html", {"problem": to_context(problem)}, status_code=problem.status)
    )
    dress(answer.headers, request.scope)  # Starlette sends this response outside our middleware.
    return answer


async def refuse(scope: Scope, receive: Receive, send: Send, problem: Problem) -> None:
    """What middleware rejects, answered like every other problem."""
    answer = await answer_problem(Request(scope, receive), problem)
    await answer(scope, receive, send)


async def page_of(request: Request, problem: Problem) -> Response:
    """With the sidebar for users who are logged in. For others, it reveals nothing about the system."""
    panel: Panel = request.app.state.panel
    context = {"problem": to_context(problem)}
    async with panel.database.read() as session:
        request.state.session = session
        request.state.viewer = await identify(request, session, panel)
        if request.state.viewer is None:
            return await bare_page(request, "errors/bare.html", context, status_code=problem.status)
        return await page(request, "errors/error.html", context, status_code=problem.status)


def to_context(problem: Problem) -> dict[str, object]:
    return {"status": problem.status, "message": problem.message, "title": None, "way_out": None}


def as_problem(error: Exception) -> Problem:
    match error:
        case Problem():
            return error
        case RequestValidationError():
            return problems.invalid(error)
        case HTTPException(status_code=404):
            return NotFound("Page not found.")
        case HTTPException():
            return problems.of_status(error.status_code)
        case _:
            raise error


def to_log_in(request: Request) -> Response:
    path, query = request.scope["path"], request.scope["query_string"].decode("latin-1")
    target = path + (f"?{query}" if query else "")
    where = "/login" if target == "/" or request.method != "GET" else f"/login?next={quote(target, safe='')}"
    if "hx-request" in request.headers:
        return PlainTextResponse("Log in to continue.", 401, {"hx-redirect": where})
    return RedirectResponse(where, 303)


def allowed(request: Request) -> list[str]:
    """All methods of this path. The framework lists those of one route only."""
    methods: set[str] = set()
    for route in iter_route_contexts(request.app.routes):
        if route.path and pattern_of(route.path).match(request.scope["path"]):
            methods |= route.methods or set()
    return sorted(methods)


@cache
def pattern_of(path: str) -> re.Pattern[str]:
    """Of a route. Compiling all of them takes longer than the rest of an answer."""
    return compile_path(path)[0]
