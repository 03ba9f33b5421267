"""HTML responses: the template environment, the context of every page, redirects with a flash message."""

import asyncio
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from guardpanel.dependencies import panel
from guardpanel.engines import ServerStatus
from guardpanel.events.crs import is_in_rule_set, is_reporting
from guardpanel.events.words import VERDICT_TABLE, Verdict
from guardpanel.models import NOUNS, Policy, User
from guardpanel.models.meta import about, lowered
from guardpanel.models.policies.enforcement import EnforcementMode, OverLimit
from guardpanel.services.truth import live_line
from guardpanel.static_files import asset
from guardpanel.views import formats, inert
from guardpanel.views.compiled import CompiledTemplates
from guardpanel.views.formats import ago, clock, counted, duration, left, milliseconds, moment, seconds, size, thousands
from guardpanel.views.menu import MENU

TEMPLATES = Path(__file__).resolve().parents[1] / "templates"
FLASH = "gp_flash"
THEME = "gp_theme"
THEMES = ("auto", "light", "dark")


UNJUDGED = {Verdict.AGENT_ERROR, Verdict.FAIL_OPEN, Verdict.CROWDED, Verdict.TOO_MANY_BODIES}
"Verdicts that require action."

VERDICTS = {
    verdict.value: (
        words.icon,
        words.label,
        f"{words.tone}{' loud' if verdict in UNJUDGED else ''}",
    )
    for verdict, words in VERDICT_TABLE.items()
}


@cache
def environment() -> Environment:
    env = Environment(
        loader=FileSystemLoader(TEMPLATES),
        bytecode_cache=CompiledTemplates(TEMPLATES, Path(__file__), Path(formats.__file__)),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.globals["asset"] = asset
    env.filters.update(
        ago=ago,
        clock=clock,
        counted=counted,
        duration=duration,
        left=left,
        lowered=lowered,
        milliseconds=milliseconds,
        moment=moment,
        seconds=seconds,
        size=size,
        thousands=thousands,
    )
    env.globals.update(
        by_name=by_name, fails_open=fails_open, over_words=over_words, policies_as_options=policies_as_options
    )
    env.globals["inert"] = inert
    env.globals["menu"] = MENU
    env.globals["verdicts"] = VERDICTS
    env.globals["about"] = {noun.key: about(noun.fields) for noun in NOUNS.values()}
    env.globals["modes"] = {mode.value: mode.word for mode in EnforcementMode}
    env.tests["reporting"] = is_reporting
    env.tests["in_rule_set"] = is_in_rule_set
    env.globals["ui"] = env.get_template("shared/ui.html").module
    return env


def compile_templates() -> None:
    """Compile all templates before the first request: together they would delay a page noticeably."""
    env = environment()
    for name in env.list_templates(["html"]):
        env.get_template(name)


async def page(
    request: Request,
    template: str,
    context: Mapping[str, Any] | None = None,
    *,
    status_code: int = 200,
    block: str = "",
) -> Response:
    """The whole page, or only its `block` if htmx asks for a part."""
    compiled = environment().get_template(template)
    everything = {**await _surroundings(request), **(context or {})}
    partial = block and request.headers.get("hx-request-type") == "partial"
    # In a thread: rendering a long list or comparison would block other requests.
    html = await asyncio.to_thread(_rendered, compiled, everything, block if partial else "")
    answer = HTMLResponse(html, status_code, {"vary": "HX-Request-Type"})
    if FLASH in request.cookies:
        answer.delete_cookie(FLASH)
    return answer


def _rendered(template: Template, context: dict[str, Any], block: str) -> str:
    if block:
        return "".join(template.blocks[block](template.new_context(context)))
    return template.render(context)


async def bare_page(
    request: Request, template: str, context: Mapping[str, Any] | None = None, *, status_code: int = 200
) -> Response:
    """A page for visitors who are not logged in. It reveals nothing about the system."""
    html = environment().get_template(template).render({**_visitor(request), **(context or {})})
    answer = HTMLResponse(html, status_code)
    if FLASH in request.cookies:
        answer.delete_cookie(FLASH)
    return answer


def redirect(url: str, message: str = "", *, undo_url: str = "", failed: bool = False) -> RedirectResponse:
    """303 to `url`, whose page shows the message once. `failed`: it says why nothing was done, or not all of it."""
    answer = RedirectResponse(url, 303)
    if message:
        flash = quote(json.dumps({"text": message, "undo_url": undo_url, "failed": failed}))
        answer.set_cookie(FLASH, flash, max_age=60, httponly=True, samesite="lax")
    return answer


async def _surroundings(request: Request) -> dict[str, Any]:
    """What every page shows around its content."""
    line = await live_line.live_line(panel(request).changes, request.state.session)
    return {
        **_visitor(request),
        "viewer": getattr(request.state, "viewer", None),
        "live": line,
        "live_url": "/live",
        "banner": banner(line, getattr(request.state, "viewer", None)),
    }


def _visitor(request: Request) -> dict[str, Any]:
    theme = request.cookies.get(THEME, "auto")
    return {
        "request": request,
        "theme": theme if theme in THEMES else "auto",
        "viewer": None,
        "live": None,
        "live_url": "",
        "banner": None,
        "flash": _flash(request),
    }


def banner(line: live_line.LiveLine, viewer: User | None) -> dict[str, Any] | None:
    """The banner above every page: what is wrong, since when, what it means, and what to do."""
    back = {"label": f"Redeploy revision {line.revision}", "url": "/system/drift/put-back", "method": "post"}
    actions = [back] if line.revision and viewer is not None and viewer.may_write else []
    match line.state:
        case "failed":
            number = line.failed.id if line.failed else None
            return {
                "kind": "bad",
                "title": f"{line.text}, and so did the rollback. guardpanel will not retry on its own.",
                "text": f"{line.detail}. {line.drift[0].what if line.drift else ''}",
                "actions": [
                    *actions,
                    {"label": "View output", "url": f"/changes/{number}" if number else "/changes"},
                ],
            }
        case "drift":
            more = f" (and {len(line.drift) - 1} more)" if len(line.drift) > 1 else ""
            what = line.drift[0].what if line.drift else line.detail
            return {
                "kind": "warn",
                "title": f"Drift from revision {line.revision}: {what}{more}",
                "text": f"Detected {ago(line.moment)}. Saving asks before overwriting it.",
                "actions": [*actions, {"label": "View differences", "url": "/system/drift"}],
            }
        case "unverified":
            return {
                "kind": "warn",
                "title": f"{line.text}: {line.detail}" + (f" {ago(line.moment)}." if line.moment else "."),
                "text": line.why
                or "The check of database, HAProxy, and WAF agent runs every 2 s but has not completed.",
                "actions": [{"label": "View background tasks", "url": "/system#background"}],
            }
        case "down":
            show = {"label": "View details", "url": "/system/drift" if line.drift else "/system"}
            return {"kind": "bad", "title": line.text + ".", "text": line.detail, "actions": [show]}
        case _:
            return None


def _flash(request: Request) -> dict[str, Any] | None:
    try:
        flash = json.loads(unquote(request.cookies.get(FLASH, "")))
        text, undo = str(flash["text"])[:300], str(flash.get("undo_url") or "")
    except (ValueError, KeyError, TypeError):
        return None
    return {"text": text, "undo_url": local(undo, otherwise=""), "failed": flash.get("failed") is True}


def local(url: str, otherwise: str = "/") -> str:
    """A path of this panel, or `otherwise` if a browser could read it as another host."""
    path = re.split(r"[?#]", url, maxsplit=1)[0]
    is_path = path.startswith("/") and "//" not in path and "\\" not in url and url.isprintable()
    return url if is_path else otherwise


def by_name(servers: Iterable[ServerStatus]) -> dict[str, ServerStatus]:
    return {server.name: server for server in servers}


OVER_WORDS = {
    OverLimit.REFUSE: "get 413",
    OverLimit.INSPECT_BEGINNING: "pass, their beginning inspected",
    OverLimit.PASS: "pass uninspected, marked",
}


def over_words(policy: Policy, mode: EnforcementMode) -> str:
    """What happens to bodies over the limit in this mode."""
    return OVER_WORDS[policy.over(mode)]


def fails_open(policy: Policy | None, mode: EnforcementMode) -> bool:
    """Whether requests that the WAF could not inspect pass."""
    return policy is None or policy.fails_open(mode)


def policies_as_options(policies: Iterable[Policy]) -> list[tuple[str, str]]:
    return [(str(policy.id), f"{policy.name} ({lowered(policy.enforcement_mode.word)})") for policy in policies]
