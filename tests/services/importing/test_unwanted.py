"""Reading a haproxy.cfg ends when its client disconnects."""

import asyncio
import threading

import httpx2
import pytest
from fastapi import FastAPI

from guardpanel.services.importing.importing import Beside, import_configuration
from guardpanel.services.importing.outcomes import Ledger
from guardpanel.services.site_file.nodes import Unwanted
from tests.disconnecting import status_without_client

TEXT = "defaults\n mode http\nfrontend web\n bind :80\n default_backend app\nbackend app\n server a 127.0.0.1:3000\n"


class _After(threading.Event):
    """Set from the given look at it on."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.looks, self._count = 0, count

    def is_set(self) -> bool:
        self.looks += 1
        return self.looks > self._count


def test_reading_can_end_at_each_of_its_steps() -> None:
    every = _After(1_000_000)
    import_configuration(TEXT.encode(), Beside(), every)

    for count in range(every.looks):
        last = _After(count)
        with pytest.raises(Unwanted):
            import_configuration(TEXT.encode(), Beside(), last)
        assert last.looks == count + 1
    assert every.looks > 20


@pytest.mark.anyio
@pytest.mark.changes_nothing
@pytest.mark.parametrize("is_page", [False, True], ids=["JSON", "page"])
async def test_reading_ends_when_the_client_disconnects(
    app: FastAPI, ada_api: httpx2.AsyncClient, ada: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch, is_page: bool
) -> None:
    begun, loop = asyncio.Event(), asyncio.get_running_loop()
    ended, over = threading.Event(), threading.Event()
    spend = Ledger.spend

    def endless(ledger: Ledger, steps: int) -> None:
        loop.call_soon_threadsafe(begun.set)
        try:
            while not over.is_set():
                spend(ledger, 0)
        except Unwanted:
            ended.set()
            raise

    if is_page:
        request = ada.build_request("POST", "/system/import", files={"file": ("haproxy.cfg", TEXT.encode())})
    else:
        request = ada_api.build_request("POST", "/api/v1/configuration/import", json={"text": TEXT})
    monkeypatch.setattr(Ledger, "spend", endless)

    try:
        assert await status_without_client(app, request, begun) == 499
        assert await asyncio.to_thread(ended.wait, 60)
    finally:
        over.set()
