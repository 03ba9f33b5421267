"""Verifies that a configuration is live: by asking the live processes, never by trusting an answer or a log line."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from guardpanel.bundle import Bundle
from guardpanel.engines import http, quic
from guardpanel.engines.haproxy.master_cli import MasterCli
from guardpanel.engines.listeners import IN_A_ROW, Listeners, short
from guardpanel.engines.processes.patience import Patience
from guardpanel.engines.processes.proc import listener_of, processes_at
from guardpanel.engines.proxy_lines import certificate_lines, expected_of_us, local, quic_listeners, tls_listeners
from guardpanel.engines.tls.handshakes import Places, leaves, other_than
from guardpanel.errors import DeploymentFailed, EngineSilent, EngineUnavailable

DEADLINE = 8.0
"Seconds after which a configuration that cannot be verified counts as not live. A working but silent engine has longer."

PAUSE_SECONDS = 0.01
"Seconds before the next attempt, doubled each time. With many attempts, one would by chance miss a stray HAProxy."

Proof = Callable[[], Awaitable[str | None]]
"What is not verified yet. None: verified."

DENY_RULE, COUNT_RULE = "100101", "190100"
"From config_templates/coraza/application.conf.j2: what each application does with a probe's attack."


class Verifier(Listeners):
    def __init__(
        self, cli: MasterCli, agent: Path, probe: Path, binds: Collection[tuple[str, int]], secret: str
    ) -> None:
        self.cli = cli
        self.agent = agent
        "The socket by which its process is identified."
        self.probe = probe
        self.binds = [(local(host), port) for host, port in binds]
        super().__init__(secret, {**dict.fromkeys(self.binds, False), probe: True})
        self.certificate_lines: list[tuple[str, str]] = []
        "Files of certificates, each with a name that gets it."
        self.quic: list[tuple[str, int]] = []
        "Listeners of HTTP/3."
        self._learned = ""

    async def prove(self, bundle: Bundle, changed: Collection[str], *, over_tls: bool = True) -> None:
        """Raises DeploymentFailed with what was observed instead. Without `over_tls`, listeners of HTTPS are not asked: each
        handshake costs as much as ten requests, and nothing about these listeners has changed."""
        haproxy = self._patience(self.cli.path)
        of_worker = self._until(haproxy, partial(self._new_worker, bundle.checksum))
        if self.has_learned(bundle.checksum):  # It is the worker of before.
            await together(of_worker, self.prove_listeners(bundle.checksum, haproxy, over_tls=over_tls))
        else:
            await of_worker
            self.learn(bundle.checksum, bundle.files)
            await self.prove_listeners(bundle.checksum, haproxy, over_tls=over_tls)
        both = self._patience(self.cli.path, self.agent)
        for application in bundle.applications:
            if application.name in changed:
                await self._until(both, partial(self._application, application.name, application.blocks))

    async def prove_certificates(self, bundle: Bundle, files: Collection[str]) -> None:
        """Check that new handshakes get these certificates, on each listener. Raises DeploymentFailed."""
        self.learn(bundle.checksum, bundle.files)
        patience, lines = self._patience(self.cli.path), list(leaves(bundle, files))
        for start in range(0, len(lines), IN_A_ROW):  # Of many, a failed one is not repeated with all others.
            some = lines[start : start + IN_A_ROW]
            await self._until(patience, partial(other_than, self.handshakes, some, IN_A_ROW))

    async def certificates(self, bundle: Bundle, files: Collection[str]) -> str | None:
        """The same at once: where new handshakes get another certificate."""
        self.learn(bundle.checksum, bundle.files)
        return await other_than(self.handshakes, list(leaves(bundle, files)), IN_A_ROW)

    def learn(self, checksum: str, files: Mapping[str, bytes]) -> None:
        """How to connect to the listeners of this configuration."""
        if self.has_learned(checksum):
            return
        self._proxy |= expected_of_us(files)
        self.quic = quic_listeners(files)
        self._tls, self.certificate_lines, self._learned = tls_listeners(files), certificate_lines(files), checksum

    def has_learned(self, checksum: str) -> bool:
        return self._learned == checksum

    @property
    def handshakes(self) -> Places:
        return {place: self._proxy[place] for place in self._tls}

    @property
    def listeners(self) -> list[tuple[str, int]]:
        """Of visitors."""
        return [*self.binds, *(place for place in self._tls if not isinstance(place, Path))]

    async def prove_listeners(self, checksum: str, patience: Patience | None = None, *, over_tls: bool = True) -> None:
        """Check that each listener responds with this configuration on many new connections. Raises DeploymentFailed."""
        patience = patience or self._patience(self.cli.path)
        places = [place for place in await self.places() if over_tls or place not in self._tls]
        proofs = [
            *(partial(self.listener, place, checksum) for place in places),
            *(partial(quic.flaw, place) for place in self.quic if over_tls),
        ]
        await asyncio.gather(*(self._until(patience, proof) for proof in proofs))

    def _patience(self, *sockets: Path) -> Patience:
        return Patience(DEADLINE, lambda: {pid for socket in sockets for pid in processes_at(socket)})

    async def places(self) -> list[http.Place]:
        """Where HAProxy listens. The probe's socket counts while something accepts there: a second HAProxy with our file that
        exited removes it, and no reload brings it back."""
        there = await asyncio.to_thread(listener_of, self.probe) is not None
        return [*self.listeners, self.probe] if there else [*self.listeners]

    async def _until(self, patience: Patience, proof: Proof) -> None:
        pause = PAUSE_SECONDS
        while True:
            over = patience.had_its_seconds
            try:
                flaw = await proof()
            except EngineSilent as error:
                flaw, over = error.message, patience.is_over
            except EngineUnavailable as error:
                flaw = error.message
            if flaw is None:
                return
            if over:
                raise _not_proved(flaw)
            await asyncio.sleep(pause)
            pause *= 2

    async def _new_worker(self, checksum: str) -> None:
        """Its running configuration is already loaded: waiting does not change it."""
        wrong = await self.worker(checksum)
        if wrong is not None:
            raise _not_proved(wrong)

    async def worker(self, checksum: str) -> str | None:
        """The newest worker runs it, and has loaded it to its last section."""
        info, is_whole = await asyncio.gather(self.cli.info(), self.cli.has_backend(f"gp_end_{checksum[:12]}"))
        description = info.get("description", "")
        if description != f"guardpanel {checksum}":
            return f"HAProxy’s newest worker runs {short(description)}, not {checksum[:12]}."
        if not is_whole:
            return "HAProxy did not load the whole configuration."
        return None

    async def _application(self, name: str, blocks: bool) -> str | None:
        """Check that it denies (or detects) an attack, and passes a clean request."""
        attack = await self._judged(name, {"x-gp-attack": "1"})
        clean = await self._judged(name, {})
        for answer in (attack, clean):
            if _header(answer, "x-gp-error"):
                raise EngineSilent(
                    f"The WAF agent gave no verdict for application {name} (error {_header(answer, 'x-gp-error')})."
                )
        if COUNT_RULE not in _header(attack, "x-gp-rules").split(","):
            return f"Application {name} did not detect the test attack."
        if blocks and (_header(attack, "x-gp-action"), _header(attack, "x-gp-rule")) != ("deny", DENY_RULE):
            return f"Application {name} did not block the test attack."
        if not blocks and _header(attack, "x-gp-action"):
            return f"Application {name} should only detect, but blocked the test attack."
        if _header(clean, "x-gp-action"):
            return f"Application {name} blocked a clean request (rule {_header(clean, 'x-gp-rule')})."
        return None

    async def _judged(self, application: str, headers: dict[str, str]) -> http.Answer:
        answers = {
            "host": "probe.guardpanel",
            "user-agent": "guardpanel",
            "accept": "*/*",
            "x-gp-judge": self.secret,
            "x-gp-application": application,
            **headers,
        }
        return await self.ask(self.binds[0], "/", answers, timeout=6.0)


async def together(*proofs: Coroutine[Any, Any, None]) -> None:
    """Both at once. Raises the first failure, which ends the other."""
    try:
        async with asyncio.TaskGroup() as group:
            for proof in proofs:
                group.create_task(proof)
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None


def _not_proved(flaw: str) -> DeploymentFailed:
    return DeploymentFailed(f"The new configuration could not be verified: {flaw}", step="verify", evidence=flaw)


def _header(answer: http.Answer, name: str) -> str:
    """A verdict header. Some HAProxy versions write `-` for an unset variable."""
    value = answer.headers.get(name, "")
    return "" if value == "-" else value
