"""Batches to store: lines of the agent, and HAProxy's lines of the same period."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from guardpanel.events.log_entry import NONE
from guardpanel.ingest import agent_line, proxy_line, recorded, strikes, traffic, use_line
from guardpanel.ingest.access_log import AccessLog, Position
from guardpanel.ingest.agent_line import AgentLine, BadLine, UnknownVersion
from guardpanel.ingest.proxy_line import ProxyLine
from guardpanel.ingest.recent_requests import RecentRequests
from guardpanel.ingest.recorded import RecordedLine
from guardpanel.ingest.segments import Read, Segments
from guardpanel.ingest.strikes import Strike
from guardpanel.ingest.traffic import Counts
from guardpanel.ingest.use_line import Use

BATCH = 2_000
"Approximate lines of the agent per read, and of HAProxy."

MOST_CHUNKS = 64
"Bytes of HAProxy's log per read."


class Batch(NamedTuple):
    """The lines of one read, and the position in HAProxy's log."""

    read: Read
    position: Position
    agent: Sequence[AgentLine]
    recorded: Sequence[RecordedLine]
    proxy: Sequence[ProxyLine]
    strikes: Sequence[Strike]
    uses: Sequence[Use]
    traffic: Counts
    counted: Counter[str]


def batches(segments: Segments, access_log: AccessLog, recent: RecentRequests) -> Iterator[Batch]:
    position = access_log.position
    while True:
        read = segments.read(BATCH)
        counted = Counter(read.counted)
        uses = list(_uses(read.lines, counted))
        agent, ordinary = _agent_lines(read.lines, counted)
        before = position
        log = _Log(access_log, recent, position)
        proxy = log.lines_to(agent[-1].moment if agent else 0, counted)
        position = log.position
        if read.is_empty and position == before:
            return
        yield Batch(read, position, agent, ordinary, proxy, log.strikes, uses, log.traffic, counted)


class _Log:
    """HAProxy's log from a position on."""

    def __init__(self, access_log: AccessLog, recent: RecentRequests, position: Position) -> None:
        self.access_log = access_log
        self.recent = recent
        self.position = position
        self.traffic = Counts()
        self.strikes: list[Strike] = []

    def lines_to(self, moment: int, counted: Counter[str]) -> list[ProxyLine]:
        """HAProxy's lines up to the time of the agent's last one. It is cheapest to store both lines of a request together, and
        many lines of the log are irrelevant."""
        lines: list[ProxyLine] = []
        for _ in range(MOST_CHUNKS):
            part = self.access_log.read(self.position)
            self.recent.see(part.lines)
            lines += _proxy_lines(part.lines, self.traffic, self.strikes, counted)
            self.traffic.bound()
            counted += part.counted
            at_end = part.position == self.position
            self.position = part.position
            if at_end or len(lines) >= BATCH or (lines and lines[-1].moment >= moment):
                break
        return lines


def _agent_lines(
    lines: Iterable[tuple[str, bytes]], counted: Counter[str]
) -> tuple[list[AgentLine], list[RecordedLine]]:
    events: list[AgentLine] = []
    ordinary: list[RecordedLine] = []
    for place, line in lines:
        if use_line.is_uses(line):
            continue
        try:
            if line.startswith(recorded.MARK):
                ordinary.append(recorded.read(line))
            else:
                events.append(agent_line.read(line, place))
        except BadLine:
            counted["bad"] += 1
        except UnknownVersion:
            counted["unknown_version"] += 1
    return events, ordinary


def _uses(lines: Iterable[tuple[str, bytes]], counted: Counter[str]) -> Iterable[Use]:
    for _, line in lines:
        if not use_line.is_uses(line):
            continue
        try:
            yield from use_line.read(line)
        except BadLine:
            counted["bad"] += 1


def _proxy_lines(
    lines: Sequence[bytes], counts: Counts, struck: list[Strike], counted: Counter[str]
) -> list[ProxyLine]:
    """Visitors' requests are counted. Most lines have nothing else to report, and are decoded once."""
    decode, count = traffic.LOGGED.decode, counts.add
    events: list[ProxyLine] = []
    own = ordinary = 0
    for line in lines:
        try:
            entry = decode(line)
        except (msgspec.DecodeError, ValueError):  # Not of a request, or not as HAProxy writes it.
            events += _event(line, counted)
            continue
        if entry.panel != NONE:
            own += 1
            continue
        count(entry)
        if entry.strikes != NONE:
            struck += strikes.of_response(entry)
        if entry.verdict == NONE and entry.rules == NONE and entry.ended[:2] == "--":
            ordinary += 1
        else:
            events += _event(line, counted)
    counted.update(own=own, ordinary=ordinary)
    return events


def _event(line: bytes, counted: Counter[str]) -> Iterable[ProxyLine]:
    try:
        event = proxy_line.read(line)
    except BadLine:
        counted["bad"] += 1
        return ()
    if event is None:
        counted["ordinary" if proxy_line.NOT_OURS in line else "own"] += 1
        return ()
    return (event,)
