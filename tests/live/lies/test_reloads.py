"""Files with a fault, which the check sees or only the reload meets."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guardpanel.engines.processes import process
from guardpanel.errors import ConfigRejected, RolledBack
from guardpanel.models.revision import Outcome
from tests.haproxies import branch
from tests.live.lies.truth import (
    LOADED_BY_A_WORKER,
    a_good_save_works,
    add,
    hosts,
    in_published,
    in_staged,
    is_as_it_was,
    last,
    live_checksum,
    names,
    visitors,
)
from tests.live.saves import Installation
from tests.ports import free_port

pytestmark = pytest.mark.anyio

BUSY = free_port()
"Somebody else's, who does not share it."


@pytest.fixture(scope="module", autouse=True)
def somebody_else() -> Iterator[None]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", BUSY))
        listener.listen()
        yield


def edited(change: Callable[[str], str]) -> Callable[[Path], None]:
    """haproxy.cfg as another file: the release before may share its inode."""

    def plant(release: Path) -> None:
        path = release / "haproxy.cfg"
        text = change(path.read_text())
        path.unlink()
        path.write_text(text)

    return plant


def in_global(line: str) -> Callable[[Path], None]:
    return edited(lambda text: text.replace("\nglobal\n", f"\nglobal\n    {line}\n", 1))


def in_frontend(line: str) -> Callable[[Path], None]:
    return edited(lambda text: text.replace("\nfrontend visitors\n", f"\nfrontend visitors\n    {line}\n", 1))


def cut_before(words: str) -> Callable[[Path], None]:
    return edited(lambda text: text[: text.index(words)])


def fifo_map(release: Path) -> None:
    (release / "hosts.map").unlink()
    os.mkfifo(release / "hosts.map")


REFUSED = {
    "an unknown keyword": (in_global("nosuchkeyword 1"), "unknown keyword 'nosuchkeyword'"),
    "a missing map": (lambda release: (release / "hosts.map").unlink(), "hosts.map"),
    "an unknown user": (in_global("user nosuchuser"), "cannot find user id for 'nosuchuser'"),
    "a missing file": (lambda release: (release / "haproxy.cfg").unlink(), "haproxy.cfg"),
    "cut inside a directive": (edited(lambda text: text[: text.index("use_backend") + 5]), ""),
    "no final line feed": (edited(lambda text: text.rstrip("\n")), "Missing LF on last line"),
    "an empty file": (edited(lambda _text: ""), ""),
    "a FIFO in place of a map": (fifo_map, "no response within"),
}
"""What `haproxy -c` sees, and its words."""

UNSEEN = {
    "cut at a line boundary": cut_before("    # What it is bound to (vhosts.map)"),
    "cut before its last section": cut_before("\n# The last section"),
    "a port that is busy": in_frontend(f"bind 127.0.0.1:{BUSY}"),
    "an address that is not ours": in_frontend("bind 192.0.2.1:8080"),
    "an absurd ulimit-n": in_global("ulimit-n 2000000000"),
    "an absurd maxconn": in_global("maxconn 1000000000"),
    "a missing chroot": in_global("chroot /nonexistent"),
}
"""What only the start of a worker meets."""

OUTAGE = {
    "an empty file",
    "cut at a line boundary",
    "a port that is busy",
    "an address that is not ours",
    "a missing chroot",
}
"""Where HAProxy itself answers nobody for a while, whoever reloads it: it pauses its listeners while a new worker cannot bind."""


def ends_haproxy(fault: str, binary: str) -> bool:
    """Whoever reloads it: from 3.1 on the master reads the file, too, when it starts anew; 3.4.7 crashes over one that it refuses."""
    crashes = branch(binary) == "3.4" and fault in {"cut inside a directive", "no final line feed"}
    return binary in LOADED_BY_A_WORKER and (fault == "a missing file" or crashes)


async def test_a_good_save_is_live_for_every_new_connection(running: Installation, origin: int) -> None:
    async with visitors(running) as visits:
        await a_good_save_works(running, origin)

    assert visits.lost == []
    assert {status for status, _, _ in visits.met} == {200}


@pytest.mark.parametrize("fault", REFUSED)
async def test_what_the_check_sees_is_refused_and_nothing_is_reloaded(
    running: Installation, origin: int, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    plant, words = REFUSED[fault]
    before, rows, name = await live_checksum(running), await hosts(running), next(names)
    workers = (await running.engines.cli.processes()).workers

    if plant is fifo_map:
        monkeypatch.setattr(process, "IDLE", 3.0)
    with in_staged(monkeypatch, running, plant) as struck, pytest.raises(ConfigRejected) as refused:
        await add(running, origin, name)

    assert struck
    assert words in refused.value.output
    assert (await last(running)).outcome is Outcome.REJECTED
    assert (await running.engines.cli.processes()).workers == workers
    await is_as_it_was(running, before, rows, name)
    await a_good_save_works(running, origin)


@pytest.mark.parametrize("fault", [*(fault for fault in REFUSED if REFUSED[fault][0] is not fifo_map), *UNSEEN])
async def test_what_only_the_reload_meets_is_rolled_back(
    running: Installation, origin: int, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    plant = UNSEEN[fault] if fault in UNSEEN else REFUSED[fault][0]
    before, rows, name = await live_checksum(running), await hosts(running), next(names)

    async with visitors(running) as visits:
        with in_published(monkeypatch, running, plant) as struck, pytest.raises(RolledBack) as undone:
            await add(running, origin, name)

    ends = ends_haproxy(fault, running.settings.haproxy_bin)
    assert struck
    assert "HAProxy exited while loading" in undone.value.message or not ends
    assert "Nothing was saved. Revision" in undone.value.message
    assert "is live again" in undone.value.message
    assert (await last(running)).outcome is Outcome.ROLLED_BACK
    await is_as_it_was(running, before, rows, name)
    if fault not in OUTAGE and not ends:
        assert (visits.lost, {status for status, _, _ in visits.met}) == ([], {200})
    await a_good_save_works(running, origin)


async def test_a_map_that_is_altered_after_the_check_is_not_called_live(
    running: Installation, origin: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It changes nothing in haproxy.cfg, so that HAProxy itself answers as it should."""
    before, rows, name = await live_checksum(running), await hosts(running), next(names)

    def forget(release: Path) -> None:
        path = release / "hosts.map"
        text = path.read_text()
        path.unlink()
        path.write_text("".join(line for line in text.splitlines(keepends=True) if name not in line))

    with in_published(monkeypatch, running, forget) as struck, pytest.raises(RolledBack):
        await add(running, origin, name)

    assert struck
    await is_as_it_was(running, before, rows, name)
    await a_good_save_works(running, origin)
