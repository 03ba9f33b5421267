"""What is said of HAProxy, from what its processes answer."""

from pathlib import Path

import pytest

from guardpanel.engines.master_cli import MasterCli, Processes
from guardpanel.engines.status import haproxy_status

pytestmark = pytest.mark.anyio


class RefusedAReload(MasterCli):
    """HAProxy 3.2 after one: the worker that serves stands among the old ones."""

    async def processes(self, patience: float = 0.0) -> Processes:
        return Processes(1, "3.2.26", (), (7,), 1, 60)

    async def info(self, pid: int = 0) -> dict[str, str]:
        return {"pid": "7", "description": "guardpanel this"}

    async def table(self, name: str) -> str:
        return ""


async def test_haproxy_that_refused_a_reload_still_runs(tmp_path: Path) -> None:
    status = await haproxy_status(RefusedAReload(tmp_path / "m.sock"))

    assert (status.running, status.checksum, status.failed_reloads) == (True, "this", 1)
