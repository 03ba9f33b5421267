"""What a later start of HAProxy needs to know of servers is written while a reload is verified."""

from pathlib import Path

import pytest

from guardpanel.engines.haproxy.master_cli import MasterCli
from guardpanel.engines.releases import Releases
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
