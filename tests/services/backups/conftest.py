"""Two machines for backups: this one, and another that gets them."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from guardpanel.app import create_app
from guardpanel.panel import Panel
from guardpanel.services.backups import sealing
from guardpanel.settings import Settings
from tests.conftest import running
from tests.fakes import FAKES
from tests.ports import free_port


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "COST", 2)
    monkeypatch.setattr(sealing, "LANES", 1)


@pytest.fixture
def other_folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="gp"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
async def other(other_folder: Path) -> AsyncIterator[Panel]:
    """Another machine at its first start, without accounts."""
    settings = Settings(data_dir=other_folder, listen=f"127.0.0.1:{free_port()}", http_bind=f"127.0.0.1:{free_port()}")
    async with running(create_app(settings, parts=FAKES)) as app:
        yield app.state.panel
