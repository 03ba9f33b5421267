"""The proof that a configuration is live: asked of the live processes, never taken from an answer or a log line."""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from pathlib import Path

from guardpanel.bundle import Bundle
from guardpanel.engines import http
from guardpanel.engines.master_cli import MasterCli
from guardpanel.engines.patience import Patience
from guardpanel.engines.proc import listener_of, processes_at
from guardpanel.engines.proxy_lines import expected_of_us, local
from guardpanel.errors import DeploymentFailed, EngineSilent, EngineUnavailable

DEADLINE = 8.0
"Seconds until a configuration that still cannot be proved counts as not live; who is silent but at work has longer."

IN_A_ROW = 16
"New connections on each listener: a second HAProxy on the same port takes its share of them (SO_REUSEPORT)."

PAUSE = 0.01
"Seconds before the next try, doubled each time: few tries, or a stray HAProxy would be missed by luck in one of many."

CHECKSUM = "x-gp-checksum"
BAD_REQUEST = 400

NOT_OURS = "not a guardpanel configuration"

Proof = Callable[[], Awaitable[str | None]]
"Words of what is not so yet; None: proved."

DENY_RULE, COUNT_RULE = "100101", "190100"
"Of config_templates/coraza/application.conf.j2: what each application does with a probe's attack."


class Verifier:
    def __init__(
        self, cli: MasterCli, agent: Path, probe: Path, binds: Collection[tuple[str, int]], secret: str
    ) -> None:
        self.cli = cli
        self.agent = agent
        "A socket by which its process is known."
        self.probe = probe
        self.binds = [(local(host), port) for host, port in binds]
        self.secret = secret
        self._proxy: dict[http.Place, bool] = {**dict.fromkeys(self.binds, False), probe: True}
        "Where requests are let in after a PROXY line, as far as is known."

    async def prove(self, bundle: Bundle, changed: Collection[str]) -> None:
        """Raises DeploymentFailed with what was seen instead."""
        haproxy = self._patience(self.cli.path)
        await self._until(haproxy, partial(self._new_worker, bundle.checksum))
        self._proxy |= expected_of_us(bundle.files)
        await self.prove_listeners(bundle.checksum, haproxy)
        both = self._patience(self.cli.path, self.agent)
        for application in bundle.applications:
            if application.name in changed:
                await self._until(both, partial(self._application, application.name, application.blocks))

    async def prove_listeners(self, checksum: str, patience: Patience | None = None) -> None:
        """Each of them answers with this configuration on many new connections. Raises DeploymentFailed."""
        patience = patience or self._patience(self.cli.path)
        places = await self.places()
        await asyncio.gather(*(self._until(patience, partial(self.listener, place, checksum)) for place in places))

    def _patience(self, *sockets: Path) -> Patience:
        return Patience(DEADLINE, lambda: {pid for socket in sockets for pid in processes_at(socket)})

    async def places(self) -> list[http.Place]:
        """Where HAProxy listens. The probe's socket counts while somebody answers there: a second HAProxy that was
        started with our file and went away takes it along, and no reload brings it back."""
        there = await asyncio.to_thread(listener_of, self.probe) is not None
        return [*self.binds, self.probe] if there else [*self.binds]

    async def _until(self, patience: Patience, proof: Proof) -> None:
        pause = PAUSE
        while True:
            over = patience.had_its_seconds
            try:
                seen = await proof()
            except EngineSilent as error:
                seen, over = error.message, patience.is_over
            except EngineUnavailable as error:
                seen = error.message
            if seen is None:
                return
            if over:
                raise _not_proved(seen)
            await asyncio.sleep(pause)
            pause *= 2

    async def _new_worker(self, checksum: str) -> None:
        """What it runs it has read: no waiting makes that another configuration."""
        wrong = await self.worker(checksum)
        if wrong is not None:
            raise _not_proved(wrong)

    async def worker(self, checksum: str) -> str | None:
        """The newest worker runs it, and has read it to its last section."""
        description = (await self.cli.info()).get("description", "")
        if description != f"guardpanel {checksum}":
            return f"HAProxy’s newest worker runs {_short(description)}, not {checksum[:12]}."
        if not await self.cli.has_backend(f"gp_end_{checksum[:12]}"):
            return "HAProxy did not load the whole configuration."
        return None

    async def listener(self, place: http.Place, checksum: str, tries: int = IN_A_ROW) -> str | None:
        first = await self._checksum(place)  # tells the others how to ask
        answers = [first, *await asyncio.gather(*(self._checksum(place) for _ in range(tries - 1)))]
        if set(answers) == {checksum}:
            return None
        others = Counter(_short(answer) for answer in answers if answer != checksum)
        place_name = place.name if isinstance(place, Path) else f"{place[0]}:{place[1]}"
        words = ", ".join(f"{count} × {what}" for what, count in others.items())
        hint = " Another HAProxy may also be listening there." if checksum in answers else ""
        return f"{place_name} returned a different configuration in {sum(others.values())} of {tries} checks ({words}).{hint}"

    async def _checksum(self, place: http.Place) -> str:
        answer = await self.ask(place, "/", {"host": "probe", "x-gp-probe": self.secret}, timeout=2.0)
        return answer.headers.get(CHECKSUM, NOT_OURS)

    async def ask(self, place: http.Place, target: str, headers: Mapping[str, str], *, timeout: float) -> http.Answer:
        """GET it there, in the way in which the listener lets us in. Raises EngineUnavailable.

        One that expects the PROXY protocol of this machine closes a connection without it, and any other answers it with
        400. So it lets in by one way alone, and trying the other cannot pass somebody else's answer off as ours."""
        try:
            answer = await http.ask(
                place, "GET", target, headers=headers, timeout=timeout, proxy_line=self._proxy[place]
            )
        except EngineUnavailable as error:
            if isinstance(error.__cause__, TimeoutError | ConnectionRefusedError):
                raise
            other = await self._ask_otherwise(place, target, headers, timeout)
            if other is None:
                raise
            return other
        if answer.status == BAD_REQUEST and CHECKSUM not in answer.headers:
            return await self._ask_otherwise(place, target, headers, timeout) or answer
        return answer

    async def _ask_otherwise(
        self, place: http.Place, target: str, headers: Mapping[str, str], timeout: float
    ) -> http.Answer | None:
        """With a PROXY line if it went without, and the other way round; None where HAProxy does not know us by that."""
        other = not self._proxy[place]
        try:
            answer = await http.ask(place, "GET", target, headers=headers, timeout=timeout, proxy_line=other)
        except EngineUnavailable:
            return None
        if CHECKSUM not in answer.headers:
            return None
        self._proxy[place] = other
        return answer

    async def _application(self, name: str, blocks: bool) -> str | None:
        """It denies (or, detecting, counts) an attack, and lets a clean request pass."""
        attack = await self._judged(name, {"x-gp-attack": "1"})
        clean = await self._judged(name, {})
        for seen in (attack, clean):
            if _header(seen, "x-gp-error"):
                raise EngineSilent(
                    f"The WAF agent gave no verdict for application {name} (error {_header(seen, 'x-gp-error')})."
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


def _not_proved(seen: str) -> DeploymentFailed:
    return DeploymentFailed(f"The new configuration could not be verified: {seen}", step="verify", evidence=seen)


def _header(answer: http.Answer, name: str) -> str:
    """A verdict header; HAProxy writes `-` for a variable that is not set in some versions."""
    value = answer.headers.get(name, "")
    return "" if value == "-" else value


def _short(text: str) -> str:
    words = text.removeprefix("guardpanel ")
    if not words:
        return "not a guardpanel configuration"
    return words[:12] if re.fullmatch(r"[0-9a-f]{64}", words) else words
