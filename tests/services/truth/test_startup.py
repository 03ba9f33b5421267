"""What a start leaves in memory."""

from collections.abc import Sequence
from typing import Any

import pytest

from guardpanel.models import VirtualHost
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.panel import Panel
from guardpanel.rendering.rows import Row
from guardpanel.services.saving import snapshots
from guardpanel.services.saving.parsed_rows import ParsedRows
from guardpanel.services.truth import startup

pytestmark = pytest.mark.anyio


async def test_the_first_save_parses_no_row_that_the_start_has_parsed(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if something else is live: then both were rendered, and each virtual host was held twice from the first save on."""
    await panel.background.close()
    parsed: list[str] = []

    def parse(table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Sequence[Row]:
        parsed.extend(table for _ in rows)
        return [dict(zip(columns, row, strict=True)) for row in rows]

    monkeypatch.setattr(snapshots, "PARSED", ParsedRows(parse))
    monkeypatch.setattr(panel.changes.renderer, "_live", None)
    fields = VirtualHostFields.model_validate({"hostnames": ["shop.test"], "servers": [{"address": "127.0.0.1:3000"}]})
    async with panel.database.write() as session:
        session.add(VirtualHost(name=fields.name, hostnames=[], servers=[]).replace(fields))

    assert await startup.bring_up(panel.changes) is None
    assert parsed.count("virtualhost") == 1
    async with panel.database.read() as session:
        snapshots.rows(await snapshots.take(session))

    assert parsed.count("virtualhost") == 1
