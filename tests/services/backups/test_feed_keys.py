"""Keys of feeds in backups."""

import pytest
from sqlmodel import select

from guardpanel.models import Feed
from guardpanel.models.access.address_list import AddressListInput
from guardpanel.panel import Panel
from guardpanel.services import address_lists
from guardpanel.services.backups import restores
from guardpanel.services.saving.changes import SaveRequest
from tests.conftest import ADA
from tests.lapi import KEY
from tests.services.backups.test_backups import WORDS, backup, taken

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("cheap")]


@pytest.mark.parametrize("words", [WORDS, ""])
async def test_a_key_is_in_a_backup_with_a_passphrase_alone(panel: Panel, other: Panel, words: str) -> None:
    fields = {"name": "CrowdSec", "filled_from": "crowdsec", "feed_url": "http://127.0.0.1:9/", "feed_key": KEY}
    await address_lists.create(panel.changes, SaveRequest(ADA), AddressListInput.model_validate(fields))
    data = await backup(panel, words)
    assert KEY.encode() not in data

    await restores.restore(other.changes, SaveRequest(ADA), await taken(other, data, words))

    async with other.database.read() as session:
        feed = (await session.exec(select(Feed))).one()
    assert feed.key_url == "http://127.0.0.1:9/"
    opened = other.changes.seal.open(feed.sealed_key, feed.key_place).decode() if feed.sealed_key else ""
    assert opened == (KEY if words else "")
