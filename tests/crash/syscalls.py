"""Stop a forked child at each of its system calls, and decide what becomes of the call or of the child.

The kernel asks us before every watched call of the child and all its threads (seccomp user notification,
seccomp_unotify(2)): it may go on, fail with an error of our choice, write only half, or never happen because the child is
killed with SIGKILL at that very moment. No root, no ptrace, and the child's code is the product's, unchanged. Which calls
are watched: everything that changes a file, the database or another process, and each turn of the event loop
(`epoll_wait`), so each `await` that waits.
"""

import ctypes
import errno
import fcntl
import json
import mmap
import os
import platform
import re
import select
import signal
import socket
import struct
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CALLS = {
    "write": 1, "open": 2, "pwrite64": 18, "writev": 20, "sendfile": 40, "connect": 42, "sendto": 44, "sendmsg": 46,
    "shutdown": 48, "clone": 56, "vfork": 58, "fcntl": 72, "flock": 73, "fsync": 74, "fdatasync": 75, "ftruncate": 77,
    "rename": 82, "mkdir": 83, "rmdir": 84, "link": 86, "unlink": 87, "symlink": 88, "chmod": 90, "fchmod": 91,
    "epoll_wait": 232, "openat": 257, "mkdirat": 258, "unlinkat": 263, "renameat": 264, "linkat": 265, "symlinkat": 266,
    "epoll_pwait": 281, "fallocate": 285, "pwritev": 296, "renameat2": 316, "copy_file_range": 326, "clone3": 435,
}  # fmt: skip
"Numbers of x86-64 (asm/unistd_64.h)."

NAMES = {number: name for name, number in CALLS.items()}

OPENS_TO_CHANGE = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_DIRECTORY
"Of `open`: those that write, create, or look at a directory (to sync it)."
LOCKS = (fcntl.F_SETLK, fcntl.F_SETLKW, 37, 38)
"Of `fcntl`: SQLite's locks, also as open file description locks."

PATHS = {
    "open": (0,), "rename": (0, 1), "mkdir": (0,), "rmdir": (0,), "link": (0, 1), "unlink": (0,), "symlink": (1,),
    "chmod": (0,), "openat": (1,), "mkdirat": (1,), "unlinkat": (1,), "renameat": (1, 3), "linkat": (1, 3),
    "symlinkat": (2,), "renameat2": (1, 3),
}  # fmt: skip
"Which arguments are paths."

ABOUT_FILES = {
    *PATHS,
    "write",
    "pwrite64",
    "writev",
    "pwritev",
    "fsync",
    "fdatasync",
    "ftruncate",
    "fallocate",
    "fchmod",
}

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_NO_NEW_PRIVS, _SECCOMP, _PIDFD_GETFD = 38, 317, 438
_FILTER, _NEW_LISTENER = 1, 8
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_CONTINUE = 1


@dataclass(frozen=True)
class Fail:
    """The call does nothing and answers this errno."""

    errno: int


class Short:
    """A write puts half of its bytes down, and says so."""


class Kill:
    """The child is dead before the call begins."""


Verdict = Fail | Short | Kill | None
"None: the call goes on."


@dataclass
class Call:
    """One system call that is about to be made. `target`: path, peer or kind of file, without what differs each time."""

    child: "Child"
    name: str
    thread: int
    arguments: tuple[int, ...]
    _target: str | None = None

    @property
    def target(self) -> str:
        if self._target is None:
            self._target = self.child.target_of(self)
        return self._target

    @property
    def label(self) -> str:
        return f"{self.name} {self.target}".rstrip()

    @property
    def creates(self) -> bool:
        """Of `open`: may make a file; the others do not need space."""
        at = {"open": 1, "openat": 2}.get(self.name)
        return at is not None and bool(self.arguments[at] & os.O_CREAT)

    @property
    def is_about_files(self) -> bool:
        """Of files on disk: not of sockets, pipes and devices, nor of the panel's own output."""
        if self.name not in ABOUT_FILES or self.target.startswith(("/dev", "/proc", "panel.out")):
            return False
        return self.name in PATHS or self.child.has_on_disk(self.arguments[0])


ORDERS = 1 << 19
"Where in the shared memory the parent writes; before it, the child does."


@dataclass
class Shared:
    """Memory that parent and child share: no system call is needed to speak, and it survives a SIGKILL."""

    memory: mmap.mmap = field(default_factory=lambda: mmap.mmap(-1, 1 << 20))

    def tell(self, word: str, **facts: object) -> None:
        """Child: what it has come to. A line is added, and then the length: the parent never reads half of one."""
        message = json.dumps({"word": word, **facts}).encode() + b"\n"
        (end,) = struct.unpack("i", self.memory[8:12])
        self.memory[64 + end : 64 + end + len(message)] = message
        self.memory[8:12] = struct.pack("i", end + len(message))

    def heard(self) -> list[dict[str, Any]]:
        (end,) = struct.unpack("i", self.memory[8:12])
        return [json.loads(line) for line in self.memory[64 : 64 + end].splitlines()]

    def words(self) -> list[str]:
        return [str(message["word"]) for message in self.heard()]

    def about(self, word: str) -> dict[str, Any] | None:
        """What it said with that word; None where it has not said it."""
        return next((message for message in self.heard() if message["word"] == word), None)

    def order(self, **what: object) -> None:
        """Parent: what the child is to do next."""
        message = json.dumps(what).encode()
        self.memory[ORDERS : ORDERS + len(message)] = message
        self.memory[12:16] = struct.pack("i", len(message))

    def ordered(self) -> dict[str, Any] | None:
        """Child: the order, once."""
        (length,) = struct.unpack("i", self.memory[12:16])
        if not length:
            return None
        self.memory[12:16] = bytes(4)
        return dict(json.loads(self.memory[ORDERS : ORDERS + length]))

    @property
    def listener(self) -> int:
        return int(struct.unpack("i", self.memory[0:4])[0])

    @listener.setter
    def listener(self, descriptor: int) -> None:
        self.memory[0:4] = struct.pack("i", descriptor)


class Child:
    """A forked child that runs `work(shared)` under watch. The parent must have no threads and no event loop.

    `run` lets it go on until it has said a word; `decide` is asked at every watched call of the child itself (not of what
    it starts). `kill` at the end, always.
    """

    def __init__(self, work: Callable[[Shared], None], folder: Path, output: Path) -> None:
        assert platform.machine() == "x86_64", f"the watched calls have x86-64's numbers, this is {platform.machine()}"
        self.shared = Shared()
        self.folder = folder
        self.calls: Counter[str] = Counter()
        "Labels of calls since `run` began."
        self.pid = os.fork()
        if self.pid == 0:
            _be_the_child(work, self.shared, output)
        self._pidfd = os.pidfd_open(self.pid)
        self._threads = {self.pid}
        self._peers: dict[int, str] = {}
        self._listener = self._take_listener()
        self._memory = os.open(f"/proc/{self.pid}/mem", os.O_RDONLY | os.O_CLOEXEC)

    def _take_listener(self) -> int:
        ends = time.monotonic() + 60
        while not self.shared.listener:
            assert time.monotonic() < ends, "the child does not start"
            time.sleep(0.0005)
        return self._descriptor(self.shared.listener)

    def _descriptor(self, number: int) -> int:
        """The child's descriptor as one of ours."""
        copy = int(_libc.syscall(_PIDFD_GETFD, self._pidfd, number, 0))
        if copy < 0:
            raise OSError(ctypes.get_errno(), f"pidfd_getfd: {os.strerror(ctypes.get_errno())}")
        return copy

    @property
    def is_alive(self) -> bool:
        return self._pidfd >= 0 and not select.select([self._pidfd], [], [], 0)[0]

    def run(self, word: str, decide: Callable[[Call], Verdict] = lambda _call: None, seconds: float = 90.0) -> bool:
        """Until the child has said `word`: True. False: it is dead (killed by `decide`, or it ended)."""
        self.calls.clear()
        ends = time.monotonic() + seconds
        waiting = select.poll()
        waiting.register(self._listener, select.POLLIN)
        waiting.register(self._pidfd, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in waiting.poll(20)}
            if self._listener in ready:
                self._answer(decide)
                if self._pidfd < 0:
                    return False
            if word in self.shared.words():
                return True
            if self._pidfd in ready:
                return False
            assert time.monotonic() < ends, f"waited {seconds} s for {word!r}; the child said {self.shared.words()}"

    def live(self, seconds: float) -> None:
        """Go on for a while: a child is let go on only in `run` and here."""
        ends = time.monotonic() + seconds
        while self.is_alive and (left := ends - time.monotonic()) > 0:
            if select.select([self._listener], [], [], min(left, 0.02))[0]:
                self._answer(lambda _call: None)

    def _answer(self, decide: Callable[[Call], Verdict]) -> None:
        request = bytearray(80)
        try:
            fcntl.ioctl(self._listener, _RECEIVE, request)
        except OSError:  # the thread died, or a signal took it out of the call
            return
        number, thread, _flags, call, _arch, _at, *arguments = struct.unpack("QIIiIQ6Q", request)
        verdict: Verdict = None
        value = 0
        if self._is_ours(thread):
            verdict = decide(Call(self, NAMES[call], thread, tuple(arguments)))
        if isinstance(verdict, Kill):
            self.kill()
            return
        if isinstance(verdict, Short):
            value = self._write_half(NAMES[call], arguments)
        error = -verdict.errno if isinstance(verdict, Fail) else 0
        flags = _CONTINUE if verdict is None else 0
        with suppress(FileNotFoundError):
            fcntl.ioctl(self._listener, _SEND, bytearray(struct.pack("QqiI", number, value, error, flags)))

    def _is_ours(self, thread: int) -> bool:
        if thread not in self._threads and Path(f"/proc/{self.pid}/task/{thread}").exists():
            self._threads.add(thread)
        return thread in self._threads

    def _write_half(self, name: str, arguments: list[int]) -> int:
        """What the kernel does on a disk that fills up: the first part is written."""
        data = self._read(arguments[1], max(1, arguments[2] // 2))
        descriptor = self._descriptor(arguments[0])
        try:
            return os.write(descriptor, data) if name == "write" else os.pwrite(descriptor, data, arguments[3])
        finally:
            os.close(descriptor)

    def _read(self, address: int, length: int) -> bytes:
        try:
            return os.pread(self._memory, length, address)
        except OSError:
            return b""

    def _text(self, address: int) -> str:
        """A string in the child's memory; pages end where mappings may."""
        content = b""
        while b"\0" not in content and len(content) < 4096:
            content += self._read(address + len(content), 256 - (address + len(content)) % 256) or b"\0"
        return content.split(b"\0")[0].decode("utf-8", "replace")

    # What a call is about, in words that are the same in every pass

    def target_of(self, call: Call) -> str:
        if paths := PATHS.get(call.name):
            return " → ".join(self._plain(self._text(call.arguments[at])) for at in paths)
        if call.name == "connect":
            self._peers[call.arguments[0]] = self._peer(call.arguments)
            return self._peers[call.arguments[0]]
        if call.name in {"clone", "clone3", "vfork", "epoll_wait", "epoll_pwait"}:
            return ""
        return self._of_descriptor(call.arguments[0])

    def _of_descriptor(self, number: int) -> str:
        try:
            path = os.readlink(f"/proc/{self.pid}/fd/{number}")
        except OSError:
            return "nothing"
        if path.startswith("socket:"):
            return self._peers.get(number, "socket")
        return self._plain(path)

    def has_on_disk(self, number: int) -> bool:
        """Whether this descriptor of the child's is a file or a directory."""
        with suppress(OSError):
            return os.readlink(f"/proc/{self.pid}/fd/{number}").startswith("/")
        return False

    def _peer(self, arguments: tuple[int, ...]) -> str:
        address = self._read(arguments[1], min(arguments[2], 110))
        family = int.from_bytes(address[:2], "little") if len(address) >= 2 else 0
        if family == socket.AF_UNIX:
            return self._plain(address[2:].split(b"\0")[0].decode())
        return "proxy" if family == socket.AF_INET else f"family {family}"

    def _plain(self, path: str) -> str:
        """Relative to the data directory; numbers and chance as N."""
        path = (
            path.replace(f"{self.folder}/", "").replace(str(self.folder), "data directory").removesuffix(" (deleted)")
        )
        path = re.sub(r"guardpanel-\w{8}$|guardpanel-\w{8}(?=/)", "guardpanel-N", path)
        return re.sub(r"(?<![a-z])\d+|(?<=[-:\[])\d+", "N", path)

    def kill(self) -> None:
        """SIGKILL, and wait until nothing of it is left."""
        if self._pidfd < 0:
            return
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        for descriptor in (self._pidfd, self._listener, self._memory):
            os.close(descriptor)
        self._pidfd = -1


def _be_the_child(work: Callable[[Shared], None], shared: Shared, output: Path) -> None:
    """Never returns."""
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        _libc.prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG: it does not outlive the harness
        shared.listener = _watched()
        work(shared)
    except BaseException:  # noqa: BLE001 the end of a process: all that is left is to say why
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(0)


def _watched() -> int:
    """Ask for the notifications of this process and all that it will start; the listener's descriptor."""
    program = _program()

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    held = ctypes.create_string_buffer(program, len(program))
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    result = int(
        _libc.syscall(
            _SECCOMP, _FILTER, _NEW_LISTENER, ctypes.byref(Program(len(program) // 8, ctypes.addressof(held)))
        )
    )
    if result < 0:
        raise OSError(ctypes.get_errno(), f"seccomp: {errno.errorcode.get(ctypes.get_errno())}")
    return result


def _program() -> bytes:
    """BPF (seccomp(2)): notify for the watched calls, allow the others."""
    load, equal, any_bit, answer = 0x20, 0x15, 0x45, 0x06
    notify, allow = (answer, 0, 0, 0x7FC00000), (answer, 0, 0, 0x7FFF0000)
    steps: list[tuple[int, int, int, int]] = [(load, 0, 0, 0)]
    for name, number in CALLS.items():
        match name:
            case "open" | "openat":
                flags = 16 + 8 * (1 if name == "open" else 2)
                body = [(load, 0, 0, flags), (any_bit, 0, 1, OPENS_TO_CHANGE), notify, allow]
            case "fcntl":
                checks = [(equal, len(LOCKS) - 1 - at + 1, 0, command) for at, command in enumerate(LOCKS)]
                body = [(load, 0, 0, 24), *checks, allow, notify]
            case _:
                body = [notify]
        steps += [(equal, 0, len(body), number), *body]
    steps.append(allow)
    return b"".join(struct.pack("HBBI", code, yes, no, value) for code, yes, no, value in steps)
