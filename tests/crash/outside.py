"""What a killed panel leaves running: HAProxy and the agent, and visitors who ask all the time.

Forks of the harness, which has neither threads nor an event loop, and has imported all that they need. They end on TERM, and
with their parent.
"""

import asyncio
import contextlib
import itertools
import mmap
import os
import select
import signal
import struct
import sys
import time
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path

from guardpanel.engines import Deployer, supervisor
from guardpanel.engines.processes import child
from guardpanel.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PAUSE_SECONDS = float(os.environ.get("GUARDPANEL_TEST_PAUSE", "0.04"))
"Seconds between two requests of one visitor: the machine's two cores are for the saves. Short forms have longer ones."
PATIENCE_SECONDS = 60.0
ATTACK = "/?id=1%27%20OR%20%271%27=%271"

STEADY, GUARDED = "steady.example", "guarded.example"
"Virtual hosts that are always there; the second one's policy blocks."

FORM = b"comment=" + b"a+plain+sentence+" * 60


@contextlib.contextmanager
def program(work: Callable[[], Coroutine[object, object, None]], output: Path) -> Iterator[int]:
    """A fork that does the work, ended by its own pid, which this gives."""
    pid = os.fork()
    if pid == 0:
        _be_the_program(work, output)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGTERM)
        if not _has_ended(pid, 30):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _be_the_program(work: Callable[[], Coroutine[object, object, None]], output: Path) -> None:
    """Never returns."""
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        asyncio.run(work())
    except BaseException:  # noqa: BLE001 the end of a process: all that is left is to say why
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(0)


def _has_ended(pid: int, seconds: float) -> bool:
    ended = os.pidfd_open(pid)
    try:
        if not select.select([ended], [], [], seconds)[0]:
            return False
    finally:
        os.close(ended)
    os.waitpid(pid, 0)
    return True


# The engines


async def keep_engines(folder: Path, http_bind: str, haproxy: str) -> None:
    """As under `guardpanel up`: what dies is started again."""
    child.STEADY = 0.0  # a sweep kills every second; the back-off is for engines that die by themselves
    settings = Settings(data_dir=folder, http_bind=http_bind, haproxy_bin=haproxy)
    keeper = supervisor.Supervisor(settings, Deployer(settings, ""))
    keeper.start()
    await _until_term()
    await keeper.stop()


# The visitors


class Count:
    """Requests and failures in a file that the harness and the visitors map. `epoch` even: they count.

    A request counts if the epoch is even and the same at its beginning and at its end.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(4096))
        with path.open("r+b") as opened:
            self._memory = mmap.mmap(opened.fileno(), 4096)
        self._failures = path.with_suffix(".failures")

    def _get(self, at: int) -> int:
        return int(struct.unpack_from("q", self._memory, 8 * at)[0])

    def _set(self, at: int, value: int) -> None:
        struct.pack_into("q", self._memory, 8 * at, value)

    @property
    def epoch(self) -> int:
        return self._get(0)

    def stop_counting(self) -> None:
        if self.epoch % 2 == 0:
            self._set(0, self.epoch + 1)

    def count_again(self) -> None:
        if self.epoch % 2:
            self._set(0, self.epoch + 1)

    @property
    def requests(self) -> int:
        return self._get(1)

    @property
    def failed(self) -> int:
        return self._get(2)

    def add(self, began: int, failure: str | None) -> None:
        if began % 2 or began != self.epoch:
            return
        self._set(1, self.requests + 1)
        if failure is not None:
            self._set(2, self.failed + 1)
            with self._failures.open("a") as written:
                written.write(f"{time.time():.3f} {failure}\n")

    def failures(self) -> str:
        return self._failures.read_text() if self._failures.exists() else ""


async def visit(port: int, origin: int, count: Path) -> None:
    """A server behind HAProxy, and visitors: two keep their connection, one opens a new one for each request."""
    counting = Count(count)
    server = await asyncio.start_server(_answer, ["127.0.0.1", "127.0.0.2"], origin)
    plan = [
        ("GET", STEADY, "/", b"", 200),
        ("POST", STEADY, "/form", FORM, 200),
        ("GET", GUARDED, "/", b"", 200),
        ("GET", GUARDED, ATTACK, b"", 403),
        ("POST", GUARDED, "/form", FORM, 200),
    ]
    visitors = [asyncio.create_task(_visitor(port, plan[at:] + plan[:at], at < 2, counting)) for at in range(3)]
    await _until_term()
    for visitor in visitors:
        visitor.cancel()
    server.close()


Wanted = tuple[str, str, str, bytes, int]
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _visitor(port: int, plan: list[Wanted], keeps: bool, count: Count) -> None:
    open_connection: Stream | None = None
    for method, host, target, body, wanted in itertools.cycle(plan):
        began, at = count.epoch, time.monotonic()
        failure = None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                stream = open_connection or await asyncio.open_connection("127.0.0.1", port)
                open_connection = stream
                status, closes = await _ask(stream, method, host, target, body, keeps)
            if status != wanted:
                failure = f"{method} {host}{target}: {status}, not {wanted}"
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
            failure, closes = f"{method} {host}{target}: {error!r} after {time.monotonic() - at:.3f} s", True
        if open_connection is not None and (closes or not keeps):
            open_connection[1].close()
            open_connection = None
        count.add(began, failure)
        await asyncio.sleep(PAUSE_SECONDS)


async def _ask(stream: Stream, method: str, host: str, target: str, body: bytes, keeps: bool) -> tuple[int, bool]:
    """Its status, and whether HAProxy closes the connection."""
    reader, writer = stream
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "User-Agent: Mozilla/5.0", "Accept: */*"]
    if body:
        lines += ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}"]
    if not keeps:
        lines.append("Connection: close")
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = next((int(line.split(":")[1]) for line in head.split("\r\n") if line.startswith("content-length:")), 0)
    await reader.readexactly(length)
    return int(head.split(" ")[1]), "connection: close" in head


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = next(
                (int(line.split(":")[1]) for line in head.split("\r\n") if line.startswith("content-length:")), 0
            )
            await reader.readexactly(length)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello")
            await writer.drain()
    writer.close()


async def _until_term() -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async for _ in _while_parent_lives():
        if ended.is_set():
            return


async def _while_parent_lives() -> AsyncIterator[None]:
    parent = os.getppid()
    while os.getppid() == parent:
        yield
        await asyncio.sleep(0.05)
