"""What is said of HAProxy, from what its processes answer."""

from pathlib import Path

import pytest

from guardpanel.engines.master_cli import MasterCli, Processes
from guardpanel.engines.status import haproxy_status, uninspected

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


def test_requests_without_a_verdict_are_added_up_by_policy_wherever_they_are_counted() -> None:
    tables = [
        "# table: uninspected, type: integer, size:10240, used:1\n0x7f1: key=2 use=0 exp=0 shard=0 gpc0=5\n",
        (
            "# table: large_bodies, type: integer, size:10240, used:3\n"
            "0x7f2: key=1 use=4 exp=0 gpc0=0 conn_cur=4\n0x7f3: key=2 use=0 exp=0 gpc0=1 conn_cur=0\n"
        ),
        "No such table\n",
    ]

    assert uninspected(tables) == {2: 6}
