"""HAProxy's master CLI: typed calls only, so that no value can become a command.

The master does not close after an answer: the client half-closes. It refuses connections briefly while it re-executes itself
during a reload, so every call retries until its deadline. 2.6 answers nothing to `reload`.
"""

import asyncio
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from guardpanel.engines import http
from guardpanel.engines.haproxy.map_commands import MapCommands, plain, worker
from guardpanel.errors import EngineSilent, EngineUnavailable

LARGEST = 64 * 1024 * 1024
PAUSE_SECONDS = 0.01
ANSWER_TIMEOUT_SECONDS = 5.0
"Seconds per answer: a master does not respond while it loads a large configuration."


HAS_ADDRESS = ("IP changed from ", "no need to change the addr", "nothing changed")
"HAProxy's answers if the server has the address now: 2.6 to 3.4. The last one from 3.0 on."


@dataclass(frozen=True)
class Processes:
    """`show proc`: what runs. `failed` counts rejected reloads since the last good one."""

    master: int
    version: str
    workers: tuple[int, ...]
    old_workers: tuple[int, ...]
    failed: int
    uptime_seconds: int


class MasterCli(MapCommands):
    def __init__(self, path: Path) -> None:
        self.path = path

    async def reload(self) -> str:
        """Tell the master, once, to load the configuration. Its answer proves nothing: 2.6 gives none, newer versions report
        false success, and none arrives in time while a busy machine loads thousands of servers."""
        try:
            return await self._ask("reload", patience=5.0, again_after_silence=False)
        except EngineSilent:
            return ""

    async def processes(self, patience: float = 0.0) -> Processes:
        return parse_processes(await self._ask("show proc", patience=patience))

    async def info(self, pid: int = 0) -> dict[str, str]:
        """`show info` of a worker, by default the newest. Names are in lower case."""
        text = await self._ask(f"{worker(pid)} show info")
        facts = (line.split(": ", 1) for line in text.splitlines() if ": " in line)
        return {name.lower(): value for name, value in facts}

    async def stat(self, backend: str = "") -> str:
        """`show stat` of the newest worker, for one backend's servers or all, as CSV."""
        return await self._ask(f"@1 show stat {_name(backend) if backend else -1} 4 -1")

    async def server_states(self, backends: Collection[str] = ()) -> str:
        """`show servers state` of the newest worker, of all its backends or of these: a state file."""
        each = [f"@1 show servers state {_name(backend)}" for backend in sorted(backends)]
        return await self._ask("; ".join(each or ["@1 show servers state"]))

    async def set_address(self, backend: str, server: str, address: str) -> bool:
        """Whether it has that address now. A server without an address accepts none."""
        name = f"{_name(backend)}/{_name(server)}"
        answer = await self._ask(f"@1 set server {name} addr {plain(address)}")
        return answer.startswith(HAS_ADDRESS)

    async def move_server(self, backend: str, server: str, address: str, port: int) -> None:
        """Whether it moved is read from `server_states`: its answers differ by version."""
        await self._ask(f"@1 set server {_name(backend)}/{_name(server)} addr {plain(address)} port {port:d}")

    async def call_up(self, backend: str, server: str) -> None:
        """Take it for healthy until a check fails, as after a reload."""
        await self._ask(f"@1 set server {_name(backend)}/{_name(server)} health up")

    async def set_server(self, backend: str, server: str, weight: str, state: str) -> None:
        """`state`: ready, drain or maint. It answers only if it refuses: raises EngineUnavailable."""
        name = f"{_name(backend)}/{_name(server)}"
        if not weight.isdecimal() or state not in {"ready", "drain", "maint"}:
            raise ValueError(f"not a weight and state: {weight!r}, {state!r}")
        changes = f"@1 set server {name} weight {weight}; @1 set server {name} state {state}"
        if answer := (await self._ask(changes)).strip():
            raise EngineUnavailable(f"HAProxy did not change {name}: {answer[:200]}")

    async def has_backend(self, name: str) -> bool:
        backend = _name(name)
        return backend in (await self._ask("@1 show backend")).split("\n")

    async def maps(self) -> dict[int, str]:
        """The newest worker's maps: number and file as in the configuration."""
        listed = await self._ask("@1 show map")
        return {int(number): file for number, file in re.findall(r"^(\d+) \(([^)]+\.map)\)", listed, re.MULTILINE)}

    async def map_entries(self, number: int, pid: int = 0) -> str:
        """Lines `0x… key value`."""
        return await self._ask(f"{worker(pid)} show map #{number:d}")

    async def ages_of_requests(self) -> set[tuple[int, int]]:
        """In seconds, at least and at most, of visitors’ requests in progress in the newest worker: HAProxy tells two units."""
        return set(map(_seconds, REQUEST.findall(await self._ask("@1 show sess"))))

    async def table(self, name: str) -> str:
        if not re.fullmatch(r"[a-z_]{1,64}", name):
            raise ValueError(f"not a table's name: {name!r}")
        return await self._ask(f"@1 show table {name}")

    async def open_certificate_transactions(self) -> list[str]:
        """The files whose content somebody began to replace in the newest worker. Raises EngineUnavailable for a name that cannot
        be sent back."""
        listed = (await self._ask("@1 show ssl cert")).splitlines()
        return [_file(line.removeprefix("*")) for line in listed if line.startswith("*")]

    async def certificate(self, file: str) -> str:
        """What the newest worker reports of a certificate's file. With `*` before it: of its open transaction."""
        return await self._ask(f"@1 show ssl cert {'*' * file.startswith('*')}{_file(file.removeprefix('*'))}")

    async def certificate_fingerprints(self, files: Sequence[str]) -> dict[str, str]:
        """SHA-1, as HAProxy writes it, of each of these files that the newest worker has."""
        answers = await self._ask("; ".join(f"@1 show ssl cert {_file(file)}" for file in files))
        return dict(FINGERPRINT.findall(answers))

    async def abort_certificate(self, file: str) -> str:
        return await self._ask(f"@1 abort ssl cert {_file(file)}")

    async def stage_certificate(self, file: str, pem: str) -> str:
        """Begin a transaction. `pem`: certificates and key, without blank lines."""
        if not re.fullmatch(r"(?:[ -~]+\n)*[ -~]+", pem):
            raise ValueError("PEM with a blank line, or with other characters than ASCII's")
        return await self._ask(f"@1 set ssl cert {_file(file)} <<\n{pem}\n")

    async def commit_certificate(self, file: str) -> str:
        return await self._ask(f"@1 commit ssl cert {_file(file)}")

    async def _ask(self, command: str, patience: float = 0.0, *, again_after_silence: bool = True) -> str:
        ends = monotonic() + patience
        while True:
            try:
                async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
                    return await self._once(command)
            except (OSError, TimeoutError) as error:
                silent = isinstance(error, TimeoutError)
                if monotonic() >= ends or (silent and not again_after_silence):
                    words = f"HAProxy’s master socket is not responding: {http.reason(error)}."
                    raise (EngineSilent if silent else EngineUnavailable)(words) from error
                await asyncio.sleep(PAUSE_SECONDS)

    async def _once(self, command: str) -> str:
        reader, writer = await asyncio.open_unix_connection(str(self.path), limit=LARGEST)
        try:
            writer.write(command.encode("ascii") + b"\n")
            writer.write_eof()
            return (await reader.read(-1)).decode("utf-8", "replace")
        finally:
            writer.close()


FINGERPRINT = re.compile(r"^Filename: (\S+)\n(?:(?!Filename: ).*\n)*?SHA1 FingerPrint: (\w+)$", re.MULTILINE)

REQUEST = re.compile(r"^0x\S+: .*? fe=visitors .*? age=(\w+)", re.MULTILINE)
"A line of `show sess`."

SECONDS_IN = {"d": 86_400, "h": 3600, "m": 60, "s": 1}

NO_AGE = 10_000 * SECONDS_IN["d"]

PROCESS = re.compile(r"^(\d+)\s+(\S+)(.*)$")


def _name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9_.]{1,64}", text):
        raise ValueError(f"not a backend's name: {text!r}")
    return text


def _seconds(age: str) -> tuple[int, int]:
    """`1h2m`, as HAProxy writes it: what is below its last unit is left out. Until a request is complete, HAProxy 2.8 writes
    some 57 years (tried on 2.8.25): it may have any age."""
    parts = re.findall(r"(\d+)([dhms])", age)
    least = sum(int(number) * SECONDS_IN[unit] for number, unit in parts)
    most = least + (SECONDS_IN[parts[-1][1]] - 1 if parts else 0)
    return (least if least < NO_AGE else 0), most


def _file(name: str) -> str:
    if not re.fullmatch(r"[\w./-]{1,1000}", name, re.ASCII):
        raise EngineUnavailable("HAProxy has a certificate whose name guardpanel cannot send back.")
    return name


def parse_processes(text: str) -> Processes:
    """Sections `# workers` and `# old workers`. Columns changed between versions, except pid and type."""
    master, failed, version, uptime = 0, 0, "", 0
    processes: dict[str, list[int]] = {"workers": [], "old workers": []}
    section = ""
    for line in text.splitlines():
        if line.startswith("# ") and line[2:] in {"workers", "old workers", "programs"}:
            section = line[2:]
        elif match := PROCESS.match(line):
            pid, kind, rest = int(match[1]), match[2], match[3]
            if kind == "master":
                master, version = pid, rest.split()[-1] if rest.split() else ""
                if again := re.search(r"failed: (\d+)", rest):
                    failed = int(again[1])
                if age := re.search(r"(\d+)d(\d+)h(\d+)m(\d+)s", rest):
                    days, hours, minutes, seconds = map(int, age.groups())
                    uptime = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
            elif section in processes:
                processes[section].append(pid)
    if not master:
        raise EngineUnavailable("HAProxy returned an unexpected response to `show proc`.")
    return Processes(master, version, tuple(processes["workers"]), tuple(processes["old workers"]), failed, uptime)
