"""HAProxy's listeners, asked the way each wants it: after a PROXY line or without, over TLS or not."""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

from guardpanel.engines import http
from guardpanel.errors import EngineUnavailable

IN_A_ROW = 16
"New connections per listener: a second HAProxy on the same port would accept a share of them (SO_REUSEPORT)."

PROBE_SECONDS = 2.0
"After which a listener that does not respond to a probe counts as silent."

CHECKSUM = "x-gp-checksum"
BAD_REQUEST = 400

NOT_OURS = "not a guardpanel configuration"


class Listeners:
    def __init__(self, secret: str, proxy: Mapping[http.Place, bool]) -> None:
        self.secret = secret
        self._proxy = dict(proxy)
        "Those that accept requests after a PROXY line, as far as known."
        self._tls: dict[http.Place, str] = {}
        "Those of HTTPS, with the name to connect with."

    async def listener(self, place: http.Place, checksum: str, tries: int = IN_A_ROW) -> str | None:
        first = await self._checksum(place)  # The first response shows how to connect to the others.
        answers = [first, *await self._checksums(place, tries - 1)]
        if set(answers) == {checksum}:
            return None
        others = Counter(short(answer) for answer in answers if answer != checksum)
        place_name = place.name if isinstance(place, Path) else f"{place[0]}:{place[1]}"
        words = ", ".join(f"{count} × {what}" for what, count in others.items())
        hint = " Another HAProxy may also be listening there." if checksum in answers else ""
        return f"{place_name} returned a different configuration in {sum(others.values())} of {tries} checks ({words}).{hint}"

    async def _checksum(self, place: http.Place) -> str:
        answer = await self.ask(place, "/", self._as_probe, timeout=PROBE_SECONDS)
        return answer.headers.get(CHECKSUM, NOT_OURS)

    async def _checksums(self, place: http.Place, times: int) -> list[str]:
        """On so many connections at once."""
        if place in self._tls:
            return await asyncio.gather(*(self._checksum(place) for _ in range(times)))
        ask = partial(http.ask, place, "GET", "/", headers=self._as_probe, timeout=PROBE_SECONDS)
        first = await http.ask_often(
            place, "/", headers=self._as_probe, times=times, proxy_line=self._proxy[place], timeout=PROBE_SECONDS
        )
        answers = [await self._or_otherwise(place, outcome, ask) for outcome in first]
        return [answer.headers.get(CHECKSUM, NOT_OURS) for answer in answers]

    @property
    def _as_probe(self) -> Mapping[str, str]:
        return {"host": "probe", "x-gp-probe": self.secret}

    async def ask(self, place: http.Place, target: str, headers: Mapping[str, str], *, timeout: float) -> http.Answer:
        """GET with or without a PROXY line, as the listener requires. Raises EngineUnavailable.

        A listener that expects the PROXY protocol from this machine closes connections without it, and any other returns 400 to
        it. So only one way works, and trying the other cannot mistake another server's response for ours.
        """
        ask = partial(http.ask, place, "GET", target, headers=headers, timeout=timeout, tls_name=self._tls.get(place))
        try:
            outcome: http.Answer | EngineUnavailable = await ask(proxy_line=self._proxy[place])
        except EngineUnavailable as error:
            outcome = error
        return await self._or_otherwise(place, outcome, ask)

    async def _or_otherwise(
        self, place: http.Place, outcome: http.Answer | EngineUnavailable, ask: Callable[..., Awaitable[http.Answer]]
    ) -> http.Answer:
        """What it is, or what the other way to connect gets."""
        if isinstance(outcome, EngineUnavailable):
            if isinstance(outcome.__cause__, TimeoutError | ConnectionRefusedError):
                raise outcome
            other = await self._ask_otherwise(place, ask)
            if other is None:
                raise outcome
            return other
        if outcome.status == BAD_REQUEST and CHECKSUM not in outcome.headers:
            return await self._ask_otherwise(place, ask) or outcome
        return outcome

    async def _ask_otherwise(self, place: http.Place, ask: Callable[..., Awaitable[http.Answer]]) -> http.Answer | None:
        """Retry with a PROXY line if there was none, and vice versa. None if HAProxy does not recognize us that way."""
        other = not self._proxy[place]
        try:
            answer = await ask(proxy_line=other)
        except EngineUnavailable:
            return None
        if CHECKSUM not in answer.headers:
            return None
        self._proxy[place] = other
        return answer


def short(text: str) -> str:
    words = text.removeprefix("guardpanel ")
    if not words:
        return "not a guardpanel configuration"
    return words[:12] if re.fullmatch(r"[0-9a-f]{64}", words) else words
