"""Many requests judged by the WAF agent in one call (spoa/README.md, `POST /v1/replay`), streamed in both directions."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from guardpanel.engines import http
from guardpanel.engines.http import reason
from guardpanel.errors import EngineSilent, EngineUnavailable

LOOK, LOOKS = 3.0, 20
"""After how many seconds without a verdict the agent is asked whether it responds at all, and how often before it is given up: it
limits each verdict to 10 s of the processor, for which it waits while visitors want it, and there are two for each request."""

RESPONDS = 2.0
"Seconds for that."

AT_ONCE = 4
"Concurrent replays that the agent accepts (spoa/replay_turns.go). Others wait here for their turn."

BETWEEN, TRIES = 0.3, 200
"After how many seconds, and how often, to retry while the agent replays for another process."

BUSY, NOT_FOUND = 429, 404

LONGEST_LINE = 1024 * 1024

HEAD = (
    b"POST /v1/replay HTTP/1.1\r\nhost: agent\r\ncontent-type: application/x-ndjson\r\n"
    b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
)


@dataclass(frozen=True)
class RuleSetChoice:
    """The rules to judge by: a loaded application, or directives that are compiled for the replay."""

    application: str = ""
    directives: str = ""

    @property
    def as_json(self) -> Mapping[str, str]:
        return {"application": self.application} if self.application else {"directives": self.directives}


@dataclass(frozen=True)
class ReplayVerdict:
    verdict: str
    "`pass`, `detected` or `blocked`."
    status: int
    "The status of the response to a blocked request, else 0."
    score: int
    threshold: int
    rule_ids: tuple[int, ...]

    @property
    def passes(self) -> bool:
        return self.verdict != "blocked"


@dataclass(frozen=True)
class Replayed:
    """The outcome of one request: a verdict for each rule set, or why the agent cannot judge it."""

    verdicts: tuple[ReplayVerdict, ...]
    error: str = ""


class _AgentBusy(EngineUnavailable):
    """It replays for others, as many as it takes."""


@dataclass
class Replays:
    """This panel's replays: as many at once as the agent accepts. They share what it gives them of the processors."""

    control: Path
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    @property
    def must_wait(self) -> bool:
        """Whether the next one has to wait for others."""
        return self._turns.locked()

    async def replay(
        self, under: Sequence[RuleSetChoice], requests: Iterable[Mapping[str, Any]]
    ) -> AsyncGenerator[Replayed]:
        """`replay`, in turn."""
        async with self._turns:
            for again in reversed(range(TRIES)):
                try:
                    async with aclosing(replay(self.control, under, requests)) as answers:
                        async for answer in answers:
                            yield answer
                except _AgentBusy:  # before the first request was sent
                    if not again:
                        raise
                    await asyncio.sleep(BETWEEN)
                else:
                    return


async def replay(
    control: Path, under: Sequence[RuleSetChoice], requests: Iterable[Mapping[str, Any]]
) -> AsyncGenerator[Replayed]:
    """The requests' verdicts, in order, as they arrive. Requests have the form of evaluate. Bytes of their URLs and headers that
    are not UTF-8 are given by Python's surrogateescape. Raises EngineUnavailable, also in mid-stream. Close the iterator to end
    the replay early."""
    try:
        reader, writer = await asyncio.open_unix_connection(str(control), limit=LONGEST_LINE)
    except OSError as error:
        raise EngineUnavailable(f"{control.name} is not responding: {reason(error)}.") from error
    sending: asyncio.Task[None] | None = None
    try:
        writer.write(HEAD + _chunk({"under": [choice.as_json for choice in under]}))
        await _begun(reader, control)
        sending = asyncio.create_task(_send(writer, requests))
        async for answer in _answers(reader, control):
            yield answer
    except TimeoutError as error:
        raise EngineSilent(f"{control.name} is not responding: {reason(error)}.") from error
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise EngineUnavailable("The WAF agent ended the replay before its last request.") from error
    finally:
        writer.close()
        if sending is not None:
            sending.cancel()
            with suppress(OSError, asyncio.CancelledError):
                await sending


async def _send(writer: asyncio.StreamWriter, requests: Iterable[Mapping[str, Any]]) -> None:
    try:
        for request in requests:
            writer.write(_chunk({"request": request}))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
    except Exception:
        writer.close()  # Otherwise the agent would wait for the rest.
        raise


def _chunk(document: Mapping[str, Any]) -> bytes:
    line = json.dumps(document).encode() + b"\n"
    return b"%x\r\n%b\r\n" % (len(line), line)


async def _begun(reader: asyncio.StreamReader, control: Path) -> None:
    """Read the response's head, and the error if no verdicts follow."""
    head = await _read(control, lambda: reader.readuntil(b"\r\n\r\n"))
    status = int(head.split(b" ", 2)[1])
    if status == 200:
        return
    length = re.search(rb"(?i)\r\ncontent-length: *([0-9]+)", head)
    body = await _read(control, lambda: reader.readexactly(int(length[1]) if length else 0))
    problem = _refusal(body, status)
    if status == NOT_FOUND and problem == "not found":
        raise EngineUnavailable("The running WAF agent is older than guardpanel and cannot replay requests. Update it.")
    kind = _AgentBusy if status == BUSY else EngineUnavailable
    raise kind(f"The WAF agent cannot replay requests: {problem}.")


def _refusal(body: bytes, status: int) -> str:
    try:
        facts = json.loads(body)
        return str(facts["error"] if "error" in facts else facts["errors"][0]["message"])
    except (ValueError, KeyError, IndexError, TypeError):
        return f"it returned {status}"


async def _answers(reader: asyncio.StreamReader, control: Path) -> AsyncIterator[Replayed]:
    """The lines of the chunked body: the agent flushes after each, and sends an empty chunk only at the end."""
    rest = b""
    while content := await _content(reader, control):
        *lines, rest = (rest + content).split(b"\n")
        for line in lines:
            yield _replayed(json.loads(line))


async def _content(reader: asyncio.StreamReader, control: Path) -> bytes:
    size = int(await _read(control, lambda: reader.readuntil(b"\r\n")), 16)
    return (await _read(control, lambda: reader.readexactly(size + 2)))[:size]


async def _read(control: Path, read: Callable[[], Awaitable[bytes]]) -> bytes:
    """Raises EngineSilent once the agent does not respond to anything else either: a verdict may take long, a status does not.
    What a cancelled read has received remains in the reader's buffer."""
    for _ in range(LOOKS):
        try:
            async with asyncio.timeout(LOOK):
                return await read()
        except TimeoutError:
            await http.ask(control, "GET", "/v1/status", headers={"host": "agent"}, timeout=RESPONDS)
    raise EngineSilent(f"The WAF agent gave no verdict for {LOOK * LOOKS:.0f} s.")


def _replayed(line: Mapping[str, Any]) -> Replayed:
    if "ended" in line:
        raise EngineUnavailable(f"The WAF agent ended the replay: {line['ended']}.")
    return Replayed(tuple(_verdict(each) for each in line.get("verdicts", ())), str(line.get("error", "")))


def _verdict(fields: Mapping[str, Any]) -> ReplayVerdict:
    return ReplayVerdict(
        verdict=str(fields["verdict"]),
        status=int(fields.get("status", 0)),
        score=int(fields["anomaly_score"]),
        threshold=int(fields["threshold"]),
        rule_ids=tuple(int(each) for each in fields["rule_ids"]),
    )
