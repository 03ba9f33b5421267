"""Whether everything that visitors' requests need is available."""

from sqlalchemy.exc import SQLAlchemyError

from guardpanel.services.saving.changes import Changes
from guardpanel.services.truth import live_line
from guardpanel.services.truth.look import look

OK = "ok"


async def parts(changes: Changes, *, starting: bool, problem: str | None) -> dict[str, str]:
    """Database, HAProxy, agent, revision, background tasks and ingest: `ok`, or what is wrong."""
    try:
        now = await look(changes)
    except SQLAlchemyError:
        return {"database": "cannot be read"}
    live, engines = now.live, now.engines
    parts = {
        "database": OK,
        "haproxy": OK if engines.haproxy.running else engines.haproxy.problem or "not running",
        "agent": OK if engines.agent.running else engines.agent.problem or "not running",
        "revision": OK,
        "background": live_line.faults(changes) or OK,
        "ingest": changes.watch.ingest or OK,
    }
    if starting:
        parts["revision"] = "starting" if live else "the first configuration is going live"
    elif live is None:
        parts["revision"] = problem or "there is none"
    elif changes.watch.drift:
        parts["revision"] = " ".join(drift.what for drift in changes.watch.drift)
    elif engines.haproxy.running and now.differs and now.is_whole:
        parts["revision"] = f"HAProxy does not run revision {live.id}"
    elif not changes.watch.has_looked:
        parts["revision"] = f"revision {live.id} is being verified"
    elif changes.watch.is_old:
        parts["revision"] = f"revision {live.id} is not verified {changes.watch.how_long}"
    if changes.watch.storage:
        parts["database"] = changes.watch.storage
    return parts
