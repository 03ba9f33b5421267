"""An event database beside the panel's, which nothing has written yet."""

from collections.abc import AsyncIterator

import pytest

from guardpanel.database import Database
from guardpanel.services.events import Events
from guardpanel.settings import Settings


@pytest.fixture
async def events(settings: Settings, data_dir: object) -> AsyncIterator[Events]:
    database = Database(settings.database)
    made = Events(settings, database)
    yield made
    await made.close()
    await database.close()
