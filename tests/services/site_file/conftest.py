"""A panel without pages for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from guardpanel.services.saving.changes import Changes
from tests.services.saved import saving


@pytest.fixture
async def changes(template: Path) -> AsyncIterator[Changes]:
    async with saving(template) as changes:
        yield changes
