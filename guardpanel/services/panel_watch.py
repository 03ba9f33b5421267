"""The certificate of the panel's own listener is read and renewed while it runs, and the served one is looked at."""

import asyncio
from datetime import UTC, datetime
from functools import partial

from guardpanel.engines.tls.panel_tls import PanelTls
from guardpanel.services.saving.changes import Changes

EVERY_SECONDS = 60.0


def follow(changes: Changes, tls: PanelTls) -> None:
    """Runs as long as the panel."""
    tls.stored = lambda: changes.renderer.facts.certificates
    changes.background.keep("panel certificate", partial(look, changes, tls), EVERY_SECONDS)


async def look(changes: Changes, tls: PanelTls) -> None:
    await asyncio.to_thread(tls.refresh, datetime.now(UTC))
    changes.watch.panel_certificate = tls.problem or await tls.served_problem()
