"""Probes for machines: liveness, readiness and metrics."""

import asyncio

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, Info, generate_latest

from guardpanel import __version__
from guardpanel.dependencies import PanelDep
from guardpanel.services import certificate_uses, client_cas
from guardpanel.services.events import COUNTERS
from guardpanel.services.saving import revisions
from guardpanel.services.truth import readiness

router = APIRouter()

UP = Gauge("guardpanel_engine_up", "1 while an engine is responding.", ["engine"])
REVISION = Gauge("guardpanel_live_revision", "Number of the live revision.")
DRIFTED = Gauge(
    "guardpanel_drifted",
    "1 while files or processes differ from the live revision, or attacks are not blocked.",
)
UNINSPECTED = Gauge(
    "guardpanel_uninspected_requests",
    "Requests that passed without a verdict since the last reload.",
    ["policy"],
)
INGEST_UP = Gauge("guardpanel_ingest_up", "1 while event ingest is running.")
DROPPED_LOGS = Gauge("guardpanel_haproxy_dropped_logs", "Log lines that HAProxy dropped since the last reload.")
INGEST_LAG = Gauge("guardpanel_ingest_lag_bytes", "Bytes of events and log lines that the ingest has not read.")
SUCCEEDED = Gauge(
    "guardpanel_background_last_success_timestamp_seconds",
    "Time of the last success of a background task.",
    ["task"],
)
FAILURES = Gauge(
    "guardpanel_background_failures",
    "Consecutive failures of a background task; 0 if the last run succeeded.",
    ["task"],
)
RESTARTS = Gauge("guardpanel_background_restarts", "Failures of a background task since the panel started.", ["task"])
LOOK_AGE = Gauge("guardpanel_verified_age_seconds", "Seconds since database, HAProxy and agent were last checked.")
EVENTS = Gauge("guardpanel_events", "Counters of the ingest since its database was created.", ["what"])
BEGINS = Gauge(
    "guardpanel_certificate_not_before_timestamp_seconds",
    "When a certificate becomes valid. `panel`: of the panel’s own listener.",
    ["id", "certificate"],
)
ENDS = Gauge(
    "guardpanel_certificate_not_after_timestamp_seconds",
    "When a certificate expires. `panel`: of the panel’s own listener.",
    ["id", "certificate"],
)
CLIENT_CA_ENDS = Gauge(
    "guardpanel_client_ca_not_after_timestamp_seconds",
    "Since when HAProxy accepts no certificate of a client CA: the end of its first revocation list, else of its CAs.",
    ["id", "client_ca"],
)
BUILD = Info("guardpanel_build", "This panel.")
BUILD.info({"version": __version__})


@router.get("/healthz")
async def healthz() -> Response:
    """The process responds."""
    return PlainTextResponse("ok\n")


@router.get("/readyz")
async def readyz(panel: PanelDep) -> Response:
    """Database, HAProxy, agent, live revision, background tasks and ingest, each with its state. 503 unless all are well."""
    parts = await readiness.parts(panel.changes, starting=panel.starting, problem=panel.problem)
    ready = all(state == readiness.OK for state in parts.values())
    return JSONResponse({"ready": ready, **parts}, 200 if ready else 503)


@router.get("/metrics")
async def metrics(panel: PanelDep) -> Response:
    """Prometheus text format."""
    engines = await panel.engines.status()
    async with panel.database.read() as session:
        live = await revisions.named_live(session)
        await panel.figures.count(session)
        lives = await certificate_uses.lives(session)
        client_ca_ends = await client_cas.ends(session)
    UP.labels("haproxy").set(engines.haproxy.running)
    UP.labels("agent").set(engines.agent.running)
    REVISION.set((live.id or 0) if live else 0)
    DRIFTED.set(bool(panel.changes.watch.drift or panel.changes.watch.blocking))
    LOOK_AGE.set(panel.changes.watch.age)
    for health in panel.background.health:
        if health.succeeded_at is not None:
            SUCCEEDED.labels(health.name).set(health.succeeded_at)
        FAILURES.labels(health.name).set(health.failures)
        RESTARTS.labels(health.name).set(health.restarts)
    if panel.tls is not None:
        lives.append(("panel", "", panel.tls.own.not_before, panel.tls.own.not_after))
    BEGINS.clear()
    ENDS.clear()
    for key, name, begins, ends in lives:
        BEGINS.labels(key, name).set(begins.timestamp())
        ENDS.labels(key, name).set(ends.timestamp())
    CLIENT_CA_ENDS.clear()
    for number, name, moment in client_ca_ends:
        CLIENT_CA_ENDS.labels(str(number), name).set(moment.timestamp())
    UNINSPECTED.clear()
    for policy, count in engines.haproxy.uninspected.items():
        UNINSPECTED.labels(str(policy)).set(count)
    DROPPED_LOGS.set(engines.haproxy.dropped_logs)
    ingest = await panel.events.ingest_state()
    INGEST_UP.set(ingest.running)
    INGEST_LAG.set(ingest.lag_bytes)
    for what in COUNTERS:
        EVENTS.labels(what).set(getattr(ingest, what))
    return Response(await asyncio.to_thread(generate_latest), media_type=CONTENT_TYPE_LATEST)
