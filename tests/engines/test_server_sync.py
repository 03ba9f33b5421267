"""What a later start of HAProxy needs to know of servers is written while a reload is verified."""

from pathlib import Path

import pytest

from guardpanel.engines.files import write_atomically
from guardpanel.engines.haproxy.master_cli import MasterCli
from guardpanel.engines.releases import Releases
from guardpanel.engines.servers import server_sync
from guardpanel.engines.servers.server_sync import ServerSync
from guardpanel.errors import DeploymentFailed
from guardpanel.settings import Settings

pytestmark = pytest.mark.anyio


async def test_it_is_on_disk_before_a_rollback_begins_to_write_the_same_file(settings: Settings, folder: Path) -> None:
    settings.server_states.parent.mkdir(parents=True, exist_ok=True)
    servers = ServerSync(settings, MasterCli(folder / "none.sock"), Releases(folder))

    with pytest.raises(DeploymentFailed):
        async with servers.leaving("backend be_1\n    server s1 127.0.0.1:80 weight 100\n"):
            raise DeploymentFailed("The new configuration could not be verified.", step="verify")

    assert settings.server_states.is_file()


async def test_what_it_has_for_good_is_not_written_again(
    settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two trips to the disk in each save. What a reload leaves there may be lost when the power fails."""
    path, cli = settings.server_states, MasterCli(folder / "none.sock")
    path.parent.mkdir(parents=True, exist_ok=True)
    servers = ServerSync(settings, cli, Releases(folder))
    configuration = "backend be_1\n    server s1 127.0.0.1:80 weight 100\n"
    written: list[bool] = []

    def noted(path: Path, content: bytes, *, sync: bool) -> None:
        written.append(sync)
        write_atomically(path, content, sync=sync)

    monkeypatch.setattr(server_sync, "write_atomically", noted)
    async with servers.handing_over(configuration, "0" * 64):
        assert written == [False]
    for _ in range(2):
        await servers.leave_addresses(configuration)
        assert written == [False, True]
    path.write_text("changed by hand")
    for _ in range(2):
        await servers.leave_addresses(configuration)
        assert written == [False, True, True]
