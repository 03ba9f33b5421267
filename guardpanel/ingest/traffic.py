"""Counts every request in HAProxy's log, by virtual host and step of time (events/traffic.py) and by path and client
(events/busiest.py), within the transaction that remembers how far the log was read: nothing is counted twice.

This is done for each line, so it is written to be quick: plain lists of numbers, each found once.
"""

import re
import sqlite3
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, NamedTuple, cast

import msgspec

from guardpanel.events.busiest import HOUR, Group, Kind, client_name, path_name, whole
from guardpanel.events.log_entry import ALWAYS_REJECTED, NONE
from guardpanel.events.traffic import (
    ALL,
    DETECTED,
    FINE,
    LENGTH,
    MILLISECONDS,
    NO_TIME,
    REJECTED,
    REQUESTS,
    SENT,
    STATUSES,
    STEPS,
    TIMES,
    UNKNOWN,
    Count,
    Numbers,
)  # fmt: skip
from guardpanel.ingest.rates import Rates

COLUMNS = "requests, rejected, detected, sent, statuses, times"

KNOWN = f"SELECT {COLUMNS} FROM traffic WHERE step = ? AND host = ? AND begins = ?"  # noqa: S608 our own names

STORE = f"INSERT OR REPLACE INTO traffic (step, host, begins, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608

REJECTING = ALWAYS_REJECTED.keys() | {"misdirected", "odd_path", "no_proxy", "no_client_certificate", "login_asked"}
"Words of HAProxy's log by which it answered itself, or in place of the server."

UNAVAILABLE, TOO_SLOW = 503, 408

DIGITS = re.compile(r"[0-9]{1,9}")

NO_RULES = {"", NONE}

SHORT = tuple(TIMES + bisect_left(MILLISECONDS, milliseconds) for milliseconds in range(1_001))
"Where a response of so many milliseconds is counted."

MOST_AT_ONCE = 4_000
"Names that are counted before the busiest are chosen among them."

Key = tuple[int, int]
"Virtual host, and the beginning of a step of the finest kind in seconds since 1970."


class LogEntry(msgspec.Struct, gc=False):
    """What is counted of a line, here and towards bans. Numbers are within what SQLite can add up."""

    time: Annotated[float, msgspec.Meta(ge=0, lt=2**40)]
    client: str
    virtual_host: str
    path: str
    status: int
    bytes: Annotated[int, msgspec.Meta(ge=0, lt=2**48)]
    server_milliseconds: int
    ended: str
    verdict: str
    rules: str
    panel: str
    over_limit: str = ""
    fail: str = ""
    policy: str = NONE
    strikes: str = NONE
    "Statuses that count towards a ban."


LOGGED = msgspec.json.Decoder(LogEntry)


class Cell(NamedTuple):
    """Of a virtual host and a step of time; its names are those of the whole hour."""

    numbers: Numbers
    paths: Group
    clients: Group


class Counts:
    """Of the lines of a batch."""

    def __init__(self) -> None:
        self._cells: dict[tuple[str, int], Cell] = {}
        self._totals: dict[Key, Numbers] = {}
        self._groups: dict[tuple[Kind, int, int], Group] = {}
        self.rates = Rates()

    @property
    def rows(self) -> Mapping[Key, Count]:
        return {key: Count.of_numbers(numbers) for key, numbers in self._totals.items()}

    @property
    def groups(self) -> Mapping[tuple[Kind, int, int], Group]:
        """By kind, virtual host, and the beginning of an hour."""
        return {key: group.folded(FOLDS[key[0]]) for key, group in self._groups.items()}

    def add(self, entry: LogEntry) -> None:
        """A visitor's request."""
        key = entry.virtual_host, int(entry.time) // FINE.seconds
        numbers, paths, clients = self._cells.get(key) or self._new_cell(*key)
        places, sent = _places(entry), entry.bytes
        _add(numbers, places, sent)
        _add_to(paths, entry.path.partition("?")[0], places, sent)
        _add_to(clients, entry.client, places, sent)
        if entry.policy != NONE:
            self.rates.add(entry.policy, entry.client, int(entry.time))

    def bound(self) -> None:
        """So that no scan fills the memory. Call it after some thousands of lines."""
        self.rates.bound()
        for (kind, _, _), group in self._groups.items():
            if len(group.names) > MOST_AT_ONCE:
                folded = group.folded(FOLDS[kind])
                folded.keep(MOST_AT_ONCE // 2)
                group.names, group.floor = folded.names, folded.floor

    def _new_cell(self, virtual_host: str, step: int) -> Cell:
        host = int(virtual_host) if DIGITS.fullmatch(virtual_host) else UNKNOWN
        begins = step * FINE.seconds
        hour = begins - begins % HOUR
        paths, clients = (self._groups.setdefault((kind, host, hour), Group()) for kind in Kind)
        numbers = self._totals.setdefault((host, begins), [0] * LENGTH)
        cell = self._cells[virtual_host, step] = Cell(numbers, paths, clients)
        return cell


FOLDS: Mapping[Kind, Callable[[str], str]] = {Kind.PATH: path_name, Kind.CLIENT: client_name}


def _add(numbers: Numbers, places: tuple[int, ...], sent: int) -> None:
    for place in places:
        numbers[place] += 1
    numbers[SENT] += sent


def _add_to(group: Group, name: str, places: tuple[int, ...], sent: int) -> None:
    names = group.names
    known = names.get(name)
    if known is None:
        names[name] = (sent, places, group.floor)
        return
    if type(known) is tuple:
        known = names[name] = whole(known)
    _add(cast("Numbers", known), places, sent)


def _places(entry: LogEntry) -> tuple[int, ...]:
    """In the numbers of all that the request is counted for."""
    if entry.verdict != NONE and _is_rejected(entry):
        return REQUESTS, REJECTED
    status = STATUSES + (entry.status // 100 if 100 <= entry.status < 600 else 0)
    time = _place(entry.server_milliseconds)
    return (REQUESTS, status, time) if entry.rules in NO_RULES else (REQUESTS, status, time, DETECTED)


def _place(milliseconds: int) -> int:
    if milliseconds < 0:
        return NO_TIME
    return SHORT[milliseconds] if milliseconds < len(SHORT) else TIMES + bisect_left(MILLISECONDS, milliseconds)


def _is_rejected(entry: LogEntry) -> bool:
    match entry.verdict:
        case "unjudged":
            return entry.fail != "open" and entry.status == UNAVAILABLE
        case "over_limit":
            return entry.over_limit == "refuse"
        case "slow":
            return entry.status == TOO_SLOW
        case "bodies":
            return entry.status == UNAVAILABLE
    return entry.verdict in REJECTING


def store(connection: sqlite3.Connection, counted: Mapping[Key, Count]) -> None:
    """In every kind of step, and of all virtual hosts together, too."""
    rows: dict[tuple[int, int, int], Count] = defaultdict(Count)
    for (host, begins), count in counted.items():
        for step in STEPS:
            for number in (ALL, host):
                rows[step.seconds, number, begins - begins % step.seconds].add(count)
    for key, count in rows.items():
        if known := connection.execute(KNOWN, key).fetchone():
            count.add(Count.of_row(known))
        connection.execute(STORE, (*key, *count.as_row()))


def remove_old(connection: sqlite3.Connection, now: datetime) -> None:
    for step in STEPS:
        first = int(now.timestamp()) - step.kept_seconds - step.seconds  # One that began before may have ended since.
        connection.execute("DELETE FROM traffic WHERE step = ? AND begins < ?", (step.seconds, first))
