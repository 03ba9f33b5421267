"""Everything below the web: database, services and the real engines, for tests of the save path."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from time import monotonic

from guardpanel.database import Database
from guardpanel.engines import Deployer
from guardpanel.engines.supervisor import Supervisor
from guardpanel.errors import Conflict
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.sealing import Seal
from guardpanel.services import installation
from guardpanel.services.history import history
from guardpanel.services.issuing.accounts import own_thumbprint
from guardpanel.services.saving.changes import Changes, SaveRequest
from guardpanel.services.truth import startup
from guardpanel.services.truth.reconcile import Reconciler
from guardpanel.settings import Settings
from tests.live.stack import DEADLINE
from tests.panel import migrated
from tests.ports import free_port


class Installation:
    """A guardpanel without pages: `changes` saves, `supervisor` keeps the engines."""

    def __init__(self, settings: Settings, changes: Changes, engines: Deployer, supervisor: Supervisor) -> None:
        self.settings = settings
        self.engines = engines
        self.changes = changes
        self.supervisor = supervisor
        self.reconciler = Reconciler(changes, settings.data_dir, repairs=False)

    async def look(self) -> list[str]:
        """One look of the reconciler's; what is drift after it, in words."""
        await self.reconciler.tick()
        return [drift.what for drift in self.changes.watch.drift]

    async def put_back(self) -> None:
        """As it was after its first change, by the product's own restore: an installation takes ten times as long."""
        with contextlib.suppress(Conflict):  # it is
            await history.restore(self.changes, SaveRequest("ada"), 1)

    @property
    def proxy(self) -> str:
        return f"http://127.0.0.1:{self.settings.http_binds[0][1]}"


@contextlib.asynccontextmanager
async def installation_of(haproxy: str, agent: str = "", **others: str) -> AsyncIterator[Installation]:
    """Brought up with its first revision live; `agent` is another binary than ours. `others`: further settings."""
    folder = Path(tempfile.mkdtemp(prefix="gp"))
    binds = {"http_bind": f"127.0.0.1:{free_port()}", "https_bind": f"127.0.0.1:{free_port()}"} | others
    settings = Settings(data_dir=folder, haproxy_bin=haproxy, agent_bin=agent, **binds)  # type: ignore[arg-type]
    (folder / "guardpanel.db").write_bytes(migrated())
    database = Database(settings.database)
    await database.migrate()
    facts, seal = await installation.engine_facts(database, settings), Seal.at(settings.secret_key)
    facts = replace(facts, acme_thumbprint=await own_thumbprint(database, seal))
    engines = Deployer(settings, facts.secret)
    changes = Changes(database, engines, facts, settings.data_dir / "lock", seal)
    supervisor = Supervisor(settings, engines)
    supervisor.ingest.may_start = lambda: False  # who looks at events starts it
    supervisor.start()
    try:
        failed = await startup.bring_up(changes)
        assert failed is None, failed
        yield Installation(settings, changes, engines, supervisor)
    finally:
        await supervisor.stop()
        await engines.close()
        await database.close()
        shutil.rmtree(folder, ignore_errors=True)


async def until(true: Callable[[], Awaitable[bool]], what: str) -> None:
    """Ask until it is so."""
    ends = monotonic() + DEADLINE
    while not await true():
        assert monotonic() < ends, f"not within {DEADLINE:.0f} s: {what}"
        await asyncio.sleep(0.05)


async def is_shared(port: int) -> bool:
    """Two sockets listen on it: /proc/net/tcp says 0A for those."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    return sum(line[1].endswith(f":{port:04X}") and line[3] == "0A" for line in lines[1:]) > 1


def a_virtual_host(port: int, **others: object) -> VirtualHostFields:
    return VirtualHostFields.model_validate(
        {"hostnames": ["shop.example"], "servers": [{"address": f"127.0.0.1:{port}"}], "policy_id": 1, **others}
    )
