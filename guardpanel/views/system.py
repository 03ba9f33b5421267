"""System: engines, applications, supervised processes and settings."""

import re

from fastapi import APIRouter, Request, Response

from guardpanel import __version__
from guardpanel.dependencies import PanelDep, SessionDep, Viewer
from guardpanel.engines.haproxy.haproxy import NO_TLS
from guardpanel.services import policies, traffic
from guardpanel.services.saving import revisions
from guardpanel.services.truth import live_line
from guardpanel.settings import Settings
from guardpanel.views.answers import page

router = APIRouter()


@router.get("/system")
async def show(request: Request, panel: PanelDep, session: SessionDep, _viewer: Viewer) -> Response:
    engines = await panel.changes.engines.status()
    limits = await traffic.limits_of(panel.changes, session)
    context = {
        "engines": engines,
        "live_revision": await revisions.named_live(session),
        "running": {app.name: app for app in engines.agent.applications},
        "applications": await live_line.applications(panel.changes, session),
        "policies": {policy.id: policy for policy in await policies.all_of_them(session)},
        "over_limit": await policies.over_limit(session, panel.changes.renderer.facts),
        "tasks": panel.background.health,
        "bodies_need_a_length": limits.bodies_need_a_length,
        "children": panel.supervisor.states() if panel.supervisor else [],
        "ingest": await panel.events.ingest_state(),
        "settings": [(f"GUARDPANEL_{name.upper()}", getattr(panel.settings, name), plain(field.description or ""))
                     for name, field in Settings.model_fields.items()],
        "capacity": limits.capacity,
        "no_tls": "" if panel.changes.renderer.facts.has_tls else NO_TLS,
        "no_http3": panel.changes.renderer.facts.no_http3,
        "http3": (await traffic.find(session)).http3,
        "tls": panel.tls,
        "tls_address": panel.settings.listen,
        "panel_certificate_problem": panel.changes.watch.panel_certificate,
        "run_dir": panel.settings.run_dir,
        "version": __version__,
        "started_at": panel.started_at,
    }  # fmt: skip
    return await page(request, "system/show.html", context)


def plain(markdown: str) -> str:
    """Without the signs for code and emphasis."""
    return re.sub(r"\*(\w[^*]*)\*", r"\1", markdown.replace("`", ""))
