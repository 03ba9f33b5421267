"""Many requests judged by the WAF agent in one call (spoa/README.md, `POST /v1/replay`), streamed in both directions."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guardpanel.engines.http import reason
from guardpanel.errors import EngineSilent, EngineUnavailable

SILENCE = 30.0
"Seconds without a verdict after which the agent is given up. It limits each verdict to 10 s."

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


async def replay(
    control: Path, under: Sequence[RuleSetChoice], requests: Iterable[Mapping[str, Any]]
) -> AsyncIterator[Replayed]:
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
        await _begun(reader)
        sending = asyncio.create_task(_send(writer, requests))
        async for answer in _answers(reader):
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


async def _begun(reader: asyncio.StreamReader) -> None:
    """Read the response's head, and the error if no verdicts follow."""
    async with asyncio.timeout(SILENCE):
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        if status != 200:
            raise EngineUnavailable(f"The WAF agent cannot replay requests: {_refusal(await reader.read(-1), status)}.")


def _refusal(body: bytes, status: int) -> str:
    try:
        facts = json.loads(body)
        return str(facts["error"] if "error" in facts else facts["errors"][0]["message"])
    except (ValueError, KeyError, IndexError, TypeError):
        return f"it returned {status}"


async def _answers(reader: asyncio.StreamReader) -> AsyncIterator[Replayed]:
    """The lines of the chunked body: the agent flushes after each, and sends an empty chunk only at the end."""
    rest = b""
    while content := await _content(reader):
        *lines, rest = (rest + content).split(b"\n")
        for line in lines:
            yield _replayed(json.loads(line))


async def _content(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(SILENCE):
        size = int(await reader.readuntil(b"\r\n"), 16)
        return (await reader.readexactly(size + 2))[:size]


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
