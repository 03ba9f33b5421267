"""A stand-in for coraza-spoa, which no registry of ours has: our agent, with coraza-spoa's manners before it.

It reads the same file and judges with the same library. What this program adds is how coraza-spoa 0.7.2 behaves, as
read in its source: no control socket and no JSON verdict, silence to an unknown application, no frames over 64 KiB,
SIGHUP without an answer, and a socket that a killed one leaves behind and cannot listen on again. A `deaf` one does
not hear SIGHUP.
"""

import asyncio
import ctypes
import re
import signal
import subprocess
import sys
from pathlib import Path

VERSION = (
    "version\tv0.7.2\ngo\tgo1.25.7\npath\tgithub.com/corazawaf/coraza-spoa\n"
    "mod\tgithub.com/corazawaf/coraza-spoa\tv0.7.2\th1:x=\n"
    "dep\tgithub.com/corazawaf/coraza-coreruleset/v4\tv4.25.0\th1:x=\n"
    "dep\tgithub.com/corazawaf/coraza/v3\tv3.7.0\th1:x=\n"
)

REFUSED = '{"level":"fatal","error":"failed to compile the directive \\"secnonsense\\"","message":"Failed creating applications"}\n'

ACK, HAPROXY_HELLO = 103, 1


def stand_in(folder: Path, binary: Path, *, deaf: bool = False) -> Path:
    """An executable that is started as coraza-spoa is."""
    script = folder / "coraza-spoa"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} {__file__} {binary} {"deaf" if deaf else "hears"} "$@"\n')
    script.chmod(0o755)
    return script


def main(binary: str, manners: str, *flags: str) -> int:
    if flags == ("-version",):
        sys.stdout.write(VERSION)
        return 0
    if unknown := [flag for flag in flags if flag.startswith("-") and flag not in {"-config", "-validate"}]:
        sys.stderr.write(f"flag provided but not defined: {unknown[0]}\n")
        return 2
    if "-validate" in flags:
        code = subprocess.run([binary, *flags], capture_output=True, check=False).returncode
        sys.stderr.write(REFUSED if code else '{"level":"info","message":"Configuration file is valid"}\n')
        return min(code, 1)
    return asyncio.run(serve(binary, Path(flags[flags.index("-config") + 1]), hears=manners == "hears"))


async def serve(binary: str, config: Path, *, hears: bool) -> int:
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    own, inner = config.with_name("inner.yaml"), config.with_name("inner.sock")
    place = _with_bind(config, own, inner)
    inner.unlink(missing_ok=True)
    process = await asyncio.create_subprocess_exec(binary, "-config", str(own), preexec_fn=_die_with_us)

    def reload() -> None:
        _with_bind(config, own, inner)
        process.send_signal(signal.SIGHUP)

    loop.add_signal_handler(signal.SIGTERM, over.set)
    loop.add_signal_handler(signal.SIGHUP, reload if hears else lambda: None)
    while not inner.exists():
        if process.returncode is not None:
            return 1
        await asyncio.sleep(0.02)
    server = await asyncio.start_unix_server(lambda *client: _visit(inner, *client), place)
    ended = asyncio.create_task(process.wait())
    await asyncio.wait([ended, asyncio.create_task(over.wait())], return_when=asyncio.FIRST_COMPLETED)
    server.close()
    Path(place).unlink(missing_ok=True)
    if process.returncode is None:
        process.terminate()
        await process.wait()
    return 0


def _die_with_us() -> None:
    """In the child: PR_SET_PDEATHSIG (prctl(2)), since both together stand for one process."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _with_bind(config: Path, own: Path, inner: Path) -> str:
    """The file with another place to listen; the place that it had."""
    text = config.read_text()
    match = re.search(r"(?m)^bind: unix://(.*)$", text)
    assert match, "a bind that the stand-in does not know"
    own.write_text(text.replace(match[0], f"bind: unix://{inner}", 1))
    return match[1]


async def _visit(inner: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection of HAProxy's or the panel's."""
    agent_reader, agent_writer = await asyncio.open_unix_connection(str(inner))
    there = asyncio.create_task(_pass(reader, agent_writer, _is_small))
    back = asyncio.create_task(_pass(agent_reader, writer, _is_no_error))
    await asyncio.wait([there, back], return_when=asyncio.FIRST_COMPLETED)
    for end in (writer, agent_writer):
        end.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, may: object) -> None:
    try:
        while True:
            head = await reader.readexactly(4)
            frame = await reader.readexactly(int.from_bytes(head, "big"))
            verdict = may(frame)  # type: ignore[operator]
            if verdict is None:
                return
            if verdict:
                writer.write(head + frame)
                await writer.drain()
    except (OSError, EOFError):
        return


def _is_small(frame: bytes) -> bool | None:
    """haproxy-go 0.0.8 refuses a HELLO that announces frames over 65,535 bytes."""
    if frame[0] != HAPROXY_HELLO:
        return True
    at = frame.index(b"max-frame-size") + len(b"max-frame-size") + 1
    number, shift = frame[at], 4
    while number >= 240 and (shift == 4 or frame[at] >= 128):
        at += 1
        number += frame[at] << shift
        shift += 7
    return True if number <= 65_535 else None


def _is_no_error(frame: bytes) -> bool:
    """Its handler panics for an unknown application, the library recovers and sends nothing."""
    return not (frame[0] == ACK and b"\x05error" in frame)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
