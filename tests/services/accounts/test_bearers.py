"""Who sends a token is remembered as long as nothing was written."""

from typing import Any

import httpx2
import pytest
from sqlmodel import delete

from guardpanel.models import Session
from guardpanel.panel import Panel

pytestmark = pytest.mark.anyio


async def test_what_was_read_before_a_write_is_not_remembered(
    panel: Panel, ada_api: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    bearers = panel.accounts.bearers
    read = bearers._read

    async def overtaken(*given: Any) -> Any:
        """The log-out comes between what is read and what is remembered."""
        bearer = await read(*given)
        async with panel.database.write() as session:
            await session.exec(delete(Session))
        return bearer

    with monkeypatch.context() as patched:
        patched.setattr(bearers, "_read", overtaken)
        assert (await ada_api.get("/api/v1/policies")).status_code == 200

    assert (await ada_api.get("/api/v1/policies")).status_code == 401
