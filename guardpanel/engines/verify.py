"""The proof that a configuration is live: asked of the live processes, never taken from an answer or a log line."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from pathlib import Path
from time import monotonic

from guardpanel.bundle import Bundle
from guardpanel.engines import http
from guardpanel.engines.master_cli import MasterCli
from guardpanel.errors import DeploymentFailed, EngineUnavailable

DEADLINE = 8.0
"Seconds until a configuration that still cannot be proved counts as not live."

IN_A_ROW = 16
"New connections on each listener: a second HAProxy on the same port takes its share of them (SO_REUSEPORT)."

PAUSE = 0.01
"Seconds before the next try, doubled each time: few tries, or a stray HAProxy would be missed by luck in one of many."

Proof = Callable[[], Awaitable[str | None]]
"Words of what is not so yet; None: proved."

DENY_RULE, COUNT_RULE = "100101", "190100"
"Of config_templates/coraza/application.conf.j2: what each application does with a probe's attack."


class Verifier:
    def __init__(self, cli: MasterCli, probe: Path, binds: Collection[tuple[str, int]], secret: str) -> None:
        self.cli = cli
        self.probe = probe
        self.binds = [(_local(host), port) for host, port in binds]
        self.secret = secret

    async def prove(self, bundle: Bundle, changed: Collection[str]) -> None:
        """Raises DeploymentFailed with what was seen instead."""
        ends = monotonic() + DEADLINE
        places: list[http.Place] = [self.probe, *self.binds]
        await asyncio.gather(
            self._until(ends, partial(self._worker, bundle.checksum)),
            *(self._until(ends, partial(self._listener, place, bundle.checksum)) for place in places),
        )
        for application in bundle.applications:
            if application.name in changed:
                await self._until(ends, partial(self._application, application.name, application.blocks))

    async def _until(self, ends: float, proof: Proof) -> None:
        pause = PAUSE
        while True:
            try:
                seen = await proof()
            except EngineUnavailable as error:
                seen = error.message
            if seen is None:
                return
            if monotonic() >= ends:
                raise DeploymentFailed(
                    f"The new configuration could not be proved live: {seen}", step="verify", evidence=seen
                )
            await asyncio.sleep(pause)
            pause *= 2

    async def _worker(self, checksum: str) -> str | None:
        """The newest worker runs it, and has read it to its last section."""
        description = (await self.cli.info()).get("description", "")
        if description != f"guardpanel {checksum}":
            return f"HAProxy's newest worker runs {_short(description)}, not {checksum[:12]}."
        if not await self.cli.has_backend(f"gp_end_{checksum[:12]}"):
            return "HAProxy has not read the configuration to its end."
        return None

    async def _listener(self, place: http.Place, checksum: str) -> str | None:
        answers = await asyncio.gather(*(self._checksum(place) for _ in range(IN_A_ROW)))
        if set(answers) == {checksum}:
            return None
        others = Counter(_short(answer) for answer in answers if answer != checksum)
        shown = place.name if isinstance(place, Path) else f"{place[0]}:{place[1]}"
        words = ", ".join(f"{count} × {what}" for what, count in others.items())
        hint = " Another HAProxy may be listening there too." if checksum in answers else ""
        return f"{shown} answered with another configuration in {sum(others.values())} of {IN_A_ROW} tries ({words}).{hint}"

    async def _checksum(self, place: http.Place) -> str:
        answer = await http.ask(
            place,
            "GET",
            "/",
            headers={"host": "probe", "x-gp-probe": self.secret},
            proxy_line=isinstance(place, Path),
            timeout=2.0,
        )
        return answer.headers.get("x-gp-checksum", "no guardpanel")

    async def _application(self, name: str, blocks: bool) -> str | None:
        """It denies (or, detecting, counts) an attack, and lets a clean request pass."""
        attack = await self._judged(name, {"x-gp-attack": "1"})
        clean = await self._judged(name, {})
        for seen in (attack, clean):
            if _said(seen, "x-gp-error"):
                return f"The WAF agent gave no verdict for application {name} (error {_said(seen, 'x-gp-error')})."
        if COUNT_RULE not in _said(attack, "x-gp-rules").split(","):
            return f"Application {name} did not see the test attack."
        if blocks and (_said(attack, "x-gp-action"), _said(attack, "x-gp-rule")) != ("deny", DENY_RULE):
            return f"Application {name} did not deny the test attack."
        if not blocks and _said(attack, "x-gp-action"):
            return f"Application {name} is to detect only, but it denied the test attack."
        if _said(clean, "x-gp-action"):
            return f"Application {name} denied a clean request (rule {_said(clean, 'x-gp-rule')})."
        return None

    async def _judged(self, application: str, headers: dict[str, str]) -> http.Answer:
        return await http.ask(
            self.probe,
            "GET",
            "/",
            headers={
                "host": "probe.guardpanel",
                "user-agent": "guardpanel",
                "accept": "*/*",
                "x-gp-application": application,
                **headers,
            },
            proxy_line=True,
            timeout=6.0,
        )


def _said(answer: http.Answer, name: str) -> str:
    """A verdict header; HAProxy writes `-` for a variable that is not set in some versions."""
    value = answer.headers.get(name, "")
    return "" if value == "-" else value


def _short(text: str) -> str:
    words = text.removeprefix("guardpanel ")
    return words[:12] if words else "nothing that guardpanel made"


def _local(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
