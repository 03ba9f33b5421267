"""Drift: what differs on disk or in memory from the live revision. Files, sockets and processes are read anew each time."""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from guardpanel.bundle import Bundle
from guardpanel.engines import quic
from guardpanel.engines.differences import Drift, Place, differing
from guardpanel.engines.files import content_of
from guardpanel.engines.haproxy.master_cli import MasterCli, Processes
from guardpanel.engines.processes import proc
from guardpanel.engines.releases import ReleaseDamaged, Releases
from guardpanel.engines.runtime.certificate_drift import CertificateInspector
from guardpanel.engines.runtime.map_drift import MapInspector
from guardpanel.engines.runtime.server_swapping import ServerInspector
from guardpanel.engines.verify import Verifier
from guardpanel.engines.waf.agent import Agent, AgentStatus
from guardpanel.engines.waf.agent_files import applications_in
from guardpanel.errors import EngineSilent, EngineUnavailable
from guardpanel.sealing import in_files

TRIES = 6
"New connections per listener and look: a second HAProxy on the same port would accept a share of them."


@dataclass(frozen=True)
class Expected:
    """The live revision. `bundle` is it rendered. None if other settings or another version render other bytes."""

    number: int
    checksum: str
    bundle: Bundle | None = None


class Inspector:
    def __init__(self, releases: Releases, cli: MasterCli, agent: Agent, verifier: Verifier) -> None:
        self.releases = releases
        self.cli = cli
        self.agent = agent
        self.verifier = verifier
        self.maps = MapInspector(cli, releases)
        self.servers = ServerInspector(cli, releases)
        self.certificates = CertificateInspector(cli, verifier, releases)

    async def inspect(self, expected: Expected) -> list[Drift]:
        """All differences. An engine that does not respond is down, which is reported elsewhere."""
        places = await asyncio.gather(
            asyncio.to_thread(self._files, expected), self._haproxy(expected), self._agent(expected)
        )
        return [drift for place in places for drift in place]

    # Files

    def _files(self, expected: Expected) -> list[Drift]:
        current = self.releases.current_number()
        if current is None:
            return [Drift(Place.FILES, "There is no current release.", ours=True)]
        if current != expected.number:
            return [Drift(Place.FILES, f"The current release is {current}, not {expected.number}.")]
        damaged = self.releases.damaged(expected.number)
        if damaged is None:
            return [Drift(Place.FILES, f"Release {expected.number} is missing or incomplete.", ours=True)]
        return [self._changed_file(expected, name) for name in damaged]

    def _changed_file(self, expected: Expected, name: str) -> Drift:
        path = self.releases.root / str(expected.number) / name
        what = (
            f"{name} of release {expected.number} was {'changed' if path.exists() else 'removed'} outside guardpanel."
        )
        if expected.bundle is None or not path.is_file() or name not in expected.bundle.files:
            return Drift(Place.FILES, what)  # Lines of a private key are shown nowhere, and lists may be long.
        return Drift(Place.FILES, what, self._lines(expected.bundle.files[name], content_of(path)))

    def _lines(self, want: bytes, have: bytes) -> tuple[str, ...]:
        """For display: without the secret by which HAProxy recognizes the panel."""
        lines = differing(want, have)
        for secret in in_files(self.verifier.secret):
            lines = tuple(line.replace(secret, "…") for line in lines)
        return lines

    # HAProxy

    async def _haproxy(self, expected: Expected) -> list[Drift]:
        try:
            wrong = await self.verifier.worker(expected.checksum)
            if wrong is not None:
                return [Drift(Place.HAPROXY, wrong)]
            processes = await self.cli.processes()
            if not self.verifier.has_learned(expected.checksum):
                self.verifier.learn(expected.checksum, await asyncio.to_thread(self.releases.files, expected.number))
            memory = [*await self.maps.inspect(expected.number), *await self.servers.inspect(expected.number)]
            drifts = [*memory, *await self._listeners(expected, processes)]
            return drifts or await self.certificates.inspect(expected.number)
        except (EngineUnavailable, ReleaseDamaged):  # A damaged release is reported with the files.
            return []

    async def _listeners(self, expected: Expected, processes: Processes) -> list[Drift]:
        drifts = []
        for host, port in self.verifier.listeners:
            own = {processes.master, *processes.workers, *processes.old_workers}
            wrong = await self.verifier.listener((host, port), expected.checksum, TRIES)
            strangers = await asyncio.to_thread(_strangers, host, port, own)
            if strangers:
                wrong = f"{strangers} also listens on {host}:{port} and receives part of the traffic."
            if wrong:
                drifts.append(Drift(Place.HAPROXY, wrong))
        flaws = [await _quic_flaw(place) for place in self.verifier.quic]
        return [*drifts, *(Drift(Place.HAPROXY, flaw) for flaw in flaws if flaw)]

    # Agent

    async def _agent(self, expected: Expected) -> list[Drift]:
        status = await self.agent.status()
        drift = await asyncio.to_thread(self._agent_file, expected)
        if drift is None and status.running and not await self.agent.has_read(status):
            drift = _unread(status)
        return [drift] if drift is not None else []

    def _agent_file(self, expected: Expected) -> Drift | None:
        """What is wrong with the file that the agent loads."""
        try:
            data = content_of(self.agent.configuration)
        except FileNotFoundError:
            return Drift(Place.AGENT, "The agent’s configuration is missing.", ours=True)
        release = self._configuration(expected.number)
        return self._foreign_rules(content_of(release), data) if release.is_file() else None

    def _foreign_rules(self, release: bytes, data: bytes) -> Drift | None:
        """The live applications must be in it unchanged. Others must match some release."""
        want, have = applications_in(release), applications_in(data)
        if have is None or want is None:
            return Drift(Place.AGENT, "The agent’s configuration was changed outside guardpanel and is unreadable.")
        others = {name: digest for name, digest in have.items() if name not in want}
        if {name: have.get(name) for name in want} == want and not self._foreign(others):
            return None
        what = "The agent’s configuration was changed outside guardpanel."
        return Drift(Place.AGENT, what, self._lines(release, data))

    def released_applications(self) -> list[str]:
        """The applications in the agent's file that match a release on disk: a worker may still use them."""
        try:
            have = applications_in(content_of(self.agent.configuration)) or {}
        except FileNotFoundError:
            return []
        return sorted(set(have) - set(self._foreign(have)))

    def loaded_applications(self) -> set[str]:
        """Those in the agent's file."""
        with suppress(FileNotFoundError):
            return set(applications_in(content_of(self.agent.configuration)) or {})
        return set()

    async def draining(self) -> set[str]:
        """The checksums that old workers still run."""
        old = (await self.cli.processes()).old_workers
        descriptions = [(await self.cli.info(pid)).get("description", "") for pid in old]
        return {words.removeprefix("guardpanel ") for words in descriptions}

    def applications_of(self, checksums: Collection[str]) -> list[str] | None:
        """The applications of these releases. None, which means all, if one of them is not on disk."""
        if not checksums:
            return []
        known = {number: self.releases.checksum(number) for number in self.releases.numbers()}
        if not {*known.values()} >= {*checksums}:
            return None
        used = [
            applications_in(content_of(self._configuration(number))) or {}
            for number, checksum in known.items()
            if checksum in checksums
        ]
        return sorted({name for names in used for name in names})

    def _configuration(self, number: int) -> Path:
        return self.releases.root / str(number) / "coraza.yaml"

    def _foreign(self, applications: dict[str, bytes]) -> dict[str, bytes]:
        """The applications that match no release on disk: an old worker may still use those that do."""
        left = dict(applications)
        for number in reversed(self.releases.numbers()):
            if not left:
                break
            path = self._configuration(number)
            known = applications_in(content_of(path)) if path.is_file() else None
            left = {name: digest for name, digest in left.items() if (known or {}).get(name) != digest}
        return left


async def _quic_flaw(place: quic.Address) -> str | None:
    """Datagrams may be lost, so silence is asked about again."""
    flaw = None
    for _ in range(TRIES):
        try:
            return await quic.flaw(place)
        except EngineSilent as error:
            flaw = error.message
    return flaw


def _unread(status: AgentStatus) -> Drift:
    if not status.is_ours:
        return Drift(Place.AGENT, "The WAF agent has not loaded its current file.", ours=True)
    names = ", ".join(app.name for app in status.applications[:5]) or "none"
    return Drift(Place.AGENT, f"The WAF agent is running applications that differ from its file ({names}).", ours=True)


def _strangers(host: str, port: int, own: set[int]) -> str:
    """Describe processes other than HAProxy that listen on a port. Empty if there are none."""
    sockets = proc.listening(host, port)
    if len(sockets) < 2:
        return ""  # Our own processes only: what nobody listens on is found by connecting.
    holders = proc.owners(sockets)
    mine = {inode for pid, held in holders.items() if pid in own for inode in held}
    others = sorted(pid for pid, held in holders.items() if held - mine)
    if mine == sockets:
        return ""
    processes = [f"process {pid} ({proc.command(pid)})" for pid in others[:3]]
    return "Another process, " + ", ".join(processes) + "," if processes else "Another process"
