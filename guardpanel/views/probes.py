"""For machines: is it alive, is it ready, and its metrics."""

import asyncio

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, Info, generate_latest

from guardpanel import __version__
from guardpanel.dependencies import PanelDep
from guardpanel.services import revisions

router = APIRouter()

UP = Gauge("guardpanel_engine_up", "Whether an engine answers.", ["engine"])
REVISION = Gauge("guardpanel_live_revision", "The number of the live revision.")
DRIFTED = Gauge("guardpanel_drifted", "1 while HAProxy does not run the live revision.")
UNINSPECTED = Gauge(
    "guardpanel_uninspected_requests", "Requests that passed although the WAF could not judge them, since the last reload.",
    ["policy"],
)  # fmt: skip
BUILD = Info("guardpanel_build", "This panel.")
BUILD.info({"version": __version__})


@router.get("/healthz")
async def healthz() -> Response:
    """The process answers."""
    return PlainTextResponse("ok\n")


@router.get("/readyz")
async def readyz(panel: PanelDep) -> Response:
    """Database, HAProxy and agent, each with its state; 503 unless all are ready and a revision is live."""
    parts = {"database": "ok"}
    async with panel.database.read() as session:
        live = await revisions.live(session)
    engines = await panel.engines.status()
    parts["haproxy"] = "ok" if engines.haproxy.running else engines.haproxy.problem or "not running"
    parts["agent"] = "ok" if engines.agent.running else engines.agent.problem or "not running"
    if panel.starting or live is None:
        parts["revision"] = "the first configuration is going live" if live is None else "starting"
    elif engines.haproxy.running and engines.haproxy.checksum != live.checksum:
        parts["revision"] = f"HAProxy does not run revision {live.id}"
    else:
        parts["revision"] = "ok"
    ready = all(state == "ok" for state in parts.values())
    return JSONResponse({"ready": ready, **parts}, 200 if ready else 503)


@router.get("/metrics")
async def metrics(panel: PanelDep) -> Response:
    """Prometheus' text format."""
    engines = await panel.engines.status()
    async with panel.database.read() as session:
        live = await revisions.live(session)
    UP.labels("haproxy").set(engines.haproxy.running)
    UP.labels("agent").set(engines.agent.running)
    REVISION.set((live.id or 0) if live else 0)
    DRIFTED.set(bool(live and engines.haproxy.running and engines.haproxy.checksum != live.checksum))
    UNINSPECTED.clear()
    for policy, count in engines.haproxy.uninspected.items():
        UNINSPECTED.labels(str(policy)).set(count)
    return Response(await asyncio.to_thread(generate_latest), media_type=CONTENT_TYPE_LATEST)
