"""Saves with engines in memory."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from guardpanel.services.saving.changes import Changes
from tests.services.saved import saving


@pytest.fixture
async def changes(template: Path) -> AsyncIterator[Changes]:
    async with saving(template) as made:
        yield made
