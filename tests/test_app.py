"""The app as a process has it."""

import gc
from pathlib import Path

import pytest

from guardpanel.app import create_app
from guardpanel.settings import Settings
from tests.conftest import running
from tests.fakes import FAKES

pytestmark = pytest.mark.anyio


async def test_garbage_is_looked_for_once_it_is_up(settings: Settings, data_dir: Path) -> None:
    gc.disable()  # as the command does while it starts
    try:
        async with running(create_app(settings, parts=FAKES)):
            assert gc.isenabled()
    finally:
        gc.enable()


def test_pages_are_no_included_routers_whose_routes_are_kept_twice(settings: Settings) -> None:
    paths = {getattr(route, "path", "") for route in create_app(settings, parts=FAKES).routes}

    assert paths >= {"/", "/virtual-hosts", "/virtual-hosts/{virtual_host_id}", "/login", "/live"}
