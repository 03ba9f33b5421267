"""Logins in backups."""

import pytest

from guardpanel.models import VirtualHost
from guardpanel.models.site_login import SiteLoginInput
from guardpanel.panel import Panel
from guardpanel.services import site_logins, virtual_hosts
from guardpanel.services.backups import restores
from guardpanel.services.saving.changes import SaveRequest
from tests.conftest import ADA
from tests.fakes import FakeEngines
from tests.services.backups.test_backups import WORDS, a_host, backup, taken

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("cheap")]


def login_maps(panel: Panel) -> list[bytes]:
    assert isinstance(panel.engines, FakeEngines)
    assert panel.engines.running is not None
    return [text for path, text in panel.engines.running.secrets.items() if path.startswith("logins/")]


@pytest.mark.parametrize("words", [WORDS, ""])
async def test_who_can_log_in_still_can_with_a_passphrase_alone(panel: Panel, other: Panel, words: str) -> None:
    ada = SaveRequest(ADA)
    await virtual_hosts.create(panel.changes, ada, a_host("shop.example"))
    await site_logins.ROWS.under(1).create(panel.changes, ada, SiteLoginInput(name="ada", password="correct horse"))
    fields = virtual_hosts.ROWS.fields_of(await _host(panel)).model_copy(update={"requires_login": True})
    await virtual_hosts.update(panel.changes, ada, 1, fields)
    (before,) = login_maps(panel)
    assert before.endswith(b" ada\n")
    data = await backup(panel, words)

    await restores.restore(other.changes, ada, await taken(other, data, words))

    assert login_maps(other) == [before if words else b""]


async def _host(panel: Panel) -> VirtualHost:
    async with panel.database.read() as session:
        return await virtual_hosts.find(session, 1)
