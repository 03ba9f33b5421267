"""What runs an engine's check, on real processes."""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from guardpanel.engines.processes.process import in_thread, run

pytestmark = pytest.mark.anyio


async def test_an_engine_gets_huge_pages_and_none_of_the_panels_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDPANEL_SECRET_KEY", "not for HAProxy")

    output = (await run(["/usr/bin/env"])).output.splitlines()

    assert "GLIBC_TUNABLES=glibc.malloc.hugetlb=1" in output
    assert not [line for line in output if "GUARDPANEL" in line]


async def test_a_check_that_is_not_awaited_any_more_is_killed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "begun")
    check = asyncio.create_task(run(["/bin/sh", "-c", "echo $$ > begun; exec sleep 1000"], cwd=tmp_path))
    pid = int(await asyncio.to_thread((tmp_path / "begun").read_text))

    check.cancel()
    with pytest.raises(asyncio.CancelledError):
        await check

    async with asyncio.timeout(30):
        while Path(f"/proc/{pid}").exists():
            await asyncio.sleep(0.01)


async def test_a_folder_is_not_deleted_before_its_thread_has_ended() -> None:
    begun, may_end, ended = asyncio.Event(), threading.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def write() -> None:
        loop.call_soon_threadsafe(begun.set)
        may_end.wait()
        ended.set()

    writing = asyncio.create_task(in_thread(write))
    await begun.wait()
    writing.cancel()
    loop.call_later(0, may_end.set)

    with pytest.raises(asyncio.CancelledError):
        await writing
    assert ended.is_set()
