"""No address can begin another command: Python takes `;` and line ends for a part of an IPv6 zone."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from guardpanel.engines.haproxy.master_cli import MasterCli

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("zone", ["%;@1 disable frontend visitors", "%\n@1 disable frontend visitors", "%eth0"])
@pytest.mark.parametrize(
    "command",
    [
        lambda cli, address: cli.look_up(0, address),
        lambda cli, address: cli.put_in_map(0, address, "1", is_there=False),
        lambda cli, address: cli.take_out_of_map(0, address),
        lambda cli, address: cli.set_address("be_1", "s1", address),
        lambda cli, address: cli.move_server("be_1", "s1", address, 80),
    ],
    ids=["look_up", "put_in_map", "take_out_of_map", "set_address", "move_server"],
)
async def test_an_address_with_a_zone_is_not_sent(
    tmp_path: Path, command: Callable[[MasterCli, str], Awaitable[object]], zone: str
) -> None:
    with pytest.raises(ValueError, match="zone"):
        await command(MasterCli(tmp_path / "none.sock"), f"fe80::1{zone}")
