"""Faults put into the panel on purpose: the interleavings must find each of them."""

import sys
from collections.abc import Callable
from typing import Any

from guardpanel.engines import Deployer
from guardpanel.engines.haproxy.master_cli import MasterCli
from guardpanel.engines.waf.agent_files import read_configuration
from guardpanel.services import crud
from guardpanel.services.saving import snapshots
from guardpanel.services.saving.changes import Changes


def versions_are_not_compared() -> None:
    crud.must_be_current = lambda now, opened: None


def rows_stay_after_a_roll_back() -> None:
    put_back = snapshots.put_back

    async def put_back_unless_rolled_back(session: Any, kept: Any) -> None:
        if sys._getframe(1).f_code.co_name == "_conclude":
            return
        await put_back(session, kept)

    snapshots.put_back = put_back_unless_rolled_back


def live_without_deploying() -> None:
    async def deploy(self: Deployer, *_: object, **__: object) -> None:
        await self.world.fate.pause()

    Deployer.deploy = deploy


def what_a_crash_left_stays_open() -> None:
    async def nothing(_self: Changes) -> None:
        """Nothing."""

    Changes._end_unrecorded = nothing


def the_agent_forgets_too_early() -> None:
    async def load(self: Deployer, release: Any, *_: object, **__: object) -> None:
        self.agent.write(read_configuration(release), ())
        await self.agent.reload()

    Deployer._load_applications = load


def requests_in_progress_are_forgotten() -> None:
    async def ages_of_requests(self: MasterCli) -> set[tuple[int, int]]:
        return set()

    MasterCli.ages_of_requests = ages_of_requests


PLANTS: dict[str, Callable[[], None]] = {
    plant.__name__: plant
    for plant in (
        versions_are_not_compared, rows_stay_after_a_roll_back, live_without_deploying, what_a_crash_left_stays_open,
        the_agent_forgets_too_early, requests_in_progress_are_forgotten,
    )
}  # fmt: skip
