"""Applies a batch of lines to the event database, within the caller's transaction.

A request has one event, whichever line arrives first: the agent and HAProxy each add what they know. What both report is taken
from the agent, which has the original bytes. What happened to the request is taken from HAProxy, which responded.
"""

import json
import sqlite3
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from guardpanel.events import addresses
from guardpanel.events.lines import packed, unpacked
from guardpanel.events.schema import AGENT, PROXY
from guardpanel.events.words import VERDICT_CODES, Verdict
from guardpanel.ingest.agent_line import AgentLine
from guardpanel.ingest.names import Names
from guardpanel.ingest.proxy_line import ProxyLine
from guardpanel.ingest.use_line import Use

DETECTED = VERDICT_CODES[Verdict.DETECTED]
LET_SPEAK = {DETECTED, VERDICT_CODES[Verdict.UNDELIVERED]}
"HAProxy's verdicts over which the agent's takes precedence."

USES_KEPT_DAYS = 400
"Days."

INSERT_EVENT = f"INSERT INTO event VALUES ({', '.join('?' * 18)})"  # noqa: S608


class StoredRequest(NamedTuple):
    """What is stored about a request."""

    id: int
    has_agent: bool
    has_proxy: bool


@dataclass
class RequestLines:
    """A batch's lines about one request."""

    agent: AgentLine | None = None
    proxy: ProxyLine | None = None

    @property
    def lines(self) -> tuple[bytes | None, bytes | None]:
        return self.agent.line if self.agent else None, self.proxy.line if self.proxy else None


class Store:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.clients = Names("client", lambda text: (text, addresses.key(text)))
        self.hosts = Names("host")
        self.paths = Names("path")

    def forget(self) -> None:
        """Call it after a rollback, or after rows were removed."""
        for names in (self.clients, self.hosts, self.paths):
            names.forget()

    def add(self, agent: Sequence[AgentLine], proxy: Sequence[ProxyLine]) -> Counter[str]:
        """Returns what to count."""
        by_request, counted = _by_request(agent, proxy)
        known = self._known(list(by_request))
        new = {request: words for request, words in by_request.items() if request not in known}
        self._learn(agent, proxy)
        self._insert(new)
        for request, stored in known.items():
            counted["repeated"] += self._complete(stored, by_request[request])
        counted["events"] += len(new)
        return counted

    def add_uses(self, uses: Sequence[Use]) -> None:
        """To those of their day. What is older than USES_KEPT_DAYS days is dropped with that."""
        self.connection.executemany(
            "INSERT INTO exclusion_use VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " requests = requests + excluded.requests, last = max(last, excluded.last)",
            uses,
        )
        self.connection.execute(
            "DELETE FROM exclusion_use WHERE day < ?", (max(use.day for use in uses) - USES_KEPT_DAYS,)
        )

    def _known(self, requests: list[str]) -> dict[str, StoredRequest]:
        rows = self.connection.execute(
            "SELECT request_id, event.id, heard FROM json_each(?) CROSS JOIN event ON request_id = value",
            (json.dumps(requests),),
        )
        return {
            request: StoredRequest(event, bool(sources & AGENT), bool(sources & PROXY))
            for request, event, sources in rows
        }

    def _learn(self, agent: Sequence[AgentLine], proxy: Sequence[ProxyLine]) -> None:
        lines: list[AgentLine | ProxyLine] = [*agent, *proxy]
        self.clients.learn(self.connection, {line.client for line in lines})
        self.hosts.learn(self.connection, {line.host for line in lines})
        self.paths.learn(self.connection, {line.path for line in lines})

    def _insert(self, new: Mapping[str, RequestLines]) -> None:
        rows, rules, lines = [], [], []
        for event, (request, words) in zip(self._ids(new), new.items(), strict=True):
            fired = _rules(words)
            rows.append((event, request, *self._columns(words, fired)))
            rules += [(rule, event) for rule in fired]
            lines.append((event, packed(*words.lines)))
        self.connection.executemany(INSERT_EVENT, rows)
        self.connection.executemany("INSERT INTO event_rule VALUES (?, ?)", rules)
        self.connection.executemany("INSERT INTO event_line VALUES (?, ?)", lines)

    def _ids(self, new: Mapping[str, RequestLines]) -> list[int]:
        """Each event's time plus a tie-breaker that no other event of the same microsecond has."""
        candidates = [_moment(words) + zlib.crc32(request.encode()) % 1024 for request, words in new.items()]
        taken = {
            row[0]
            for row in self.connection.execute(
                "SELECT event.id FROM json_each(?) CROSS JOIN event ON event.id = value", (json.dumps(candidates),)
            )
        }
        ids = []
        for event in candidates:
            while event in taken:
                event += 1  # noqa: PLW2901 the next that is free
                taken.update(self.connection.execute("SELECT id FROM event WHERE id = ?", (event,)).fetchone() or ())
            taken.add(event)
            ids.append(event)
        return ids

    def _complete(self, event: StoredRequest, words: RequestLines) -> int:
        """Add these lines to an existing event. Returns the number of lines that repeat what is stored."""
        repeated = 0
        if words.proxy is not None:
            if event.has_proxy:
                repeated += 1
            else:
                self._hear_proxy(event.id, words.proxy)
        if words.agent is not None:
            if event.has_agent:
                repeated += 1
            else:
                self._hear_agent(event.id, words.agent)
        return repeated

    def _hear_proxy(self, event: int, proxy: ProxyLine) -> None:
        verdict = None if proxy.verdict in LET_SPEAK else proxy.verdict
        self.connection.execute(
            "UPDATE event SET virtual_host = ?, policy = ?, checksum = ?, verdict = coalesce(?, verdict),"
            " status = coalesce(?, status), reason = ?, heard = 3 WHERE id = ?",
            (proxy.virtual_host, proxy.policy, proxy.checksum, verdict, proxy.status, proxy.reason, event),
        )
        self._keep_line(event, proxy=proxy.line)

    def _hear_agent(self, event: int, agent: AgentLine) -> None:
        (before,) = self.connection.execute("SELECT rules FROM event WHERE id = ?", (event,)).fetchone()
        rules = (*agent.rules, *(rule for rule in map(int, before.split()) if rule not in agent.rules))
        self.connection.execute(
            "UPDATE event SET application = ?, client = ?, method = ?, host = ?, path = ?, score = ?, severity = ?,"
            " rules = ?, verdict = CASE WHEN verdict IN (?, ?) THEN ? ELSE verdict END, heard = 3, shape = ? WHERE id = ?",
            (agent.application, self.clients[agent.client], agent.method, self.hosts[agent.host], self.paths[agent.path],
             agent.score, agent.severity, _listed(rules), *LET_SPEAK, agent.verdict, agent.shape, event),
        )  # fmt: skip
        self.connection.executemany("INSERT OR IGNORE INTO event_rule VALUES (?, ?)", [(rule, event) for rule in rules])
        self._keep_line(event, agent=agent.line)

    def _keep_line(self, event: int, *, agent: bytes | None = None, proxy: bytes | None = None) -> None:
        """Next to the line that is stored."""
        (stored,) = self.connection.execute("SELECT lines FROM event_line WHERE id = ?", (event,)).fetchone()
        before_agent, before_proxy = unpacked(stored)
        lines = packed(agent or before_agent, proxy or before_proxy)
        self.connection.execute("UPDATE event_line SET lines = ? WHERE id = ?", (lines, event))

    def _columns(self, words: RequestLines, rules: Sequence[int]) -> tuple[object, ...]:
        """All columns but the id and the request id."""
        agent, proxy = words.agent, words.proxy
        first = agent or proxy
        assert first is not None  # noqa: S101 somebody spoke
        verdict, status = first.verdict, first.status
        if proxy is not None:
            verdict = verdict if proxy.verdict in LET_SPEAK else proxy.verdict
            status = proxy.status or status
        return (
            proxy.virtual_host if proxy else None,
            proxy.policy if proxy else None,
            first.application,
            proxy.checksum if proxy else "",
            self.clients[first.client],
            first.method,
            self.hosts[first.host],
            self.paths[first.path],
            verdict,
            status,
            first.score,
            agent.severity if agent else None,
            _listed(rules),
            (AGENT if agent else 0) | (PROXY if proxy else 0),
            proxy.reason if proxy else None,
            agent.shape if agent else None,
        )


def _by_request(agent: Iterable[AgentLine], proxy: Iterable[ProxyLine]) -> tuple[dict[str, RequestLines], Counter[str]]:
    """Both lines by request. The first line of each source counts."""
    by_request: dict[str, RequestLines] = {}
    counted: Counter[str] = Counter()
    for line in agent:
        words = by_request.setdefault(line.request_id, RequestLines())
        counted["repeated"] += words.agent is not None
        words.agent = words.agent or line
    for log_line in proxy:
        words = by_request.setdefault(log_line.request_id, RequestLines())
        counted["repeated"] += words.proxy is not None
        words.proxy = words.proxy or log_line
    return by_request, counted


def _rules(words: RequestLines) -> tuple[int, ...]:
    agent = words.agent.rules if words.agent else ()
    proxy = words.proxy.rules if words.proxy else ()
    if not proxy:
        return agent
    return (*agent, *(rule for rule in proxy if rule not in agent))


def _moment(words: RequestLines) -> int:
    first = words.agent or words.proxy
    return first.moment if first else 0


def _listed(rules: Iterable[int]) -> str:
    return " ".join(map(str, rules))
