"""Whether other rules fired on what a rule exclusion excludes: it may hide a part of an attack.

For each exclusion, at most MOST_EVENTS of the newest events of its policy under its path are read. Patterns are never matched
against what visitors sent, since that may take very long: their fixed prefix is compared, and a pattern without one matches
everything.
"""

import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

import msgspec

from guardpanel.events.crs import is_reporting
from guardpanel.events.lines import parsed, unpacked
from guardpanel.events.schema import id_of

SPAN = timedelta(days=30)
MOST_EVENTS = 50
MOST_PATHS = 200
"Paths below one directory."
MOST_IN_ALL = 3_000
"Events that are read per page."


class _Match(msgspec.Struct):
    variable: str = ""
    key: str = ""


class _Fired(msgspec.Struct):
    id: int
    matches: list[_Match] = []


class _Rules(msgspec.Struct):
    rules: list[_Fired] = []


RULES = msgspec.json.Decoder(_Rules)

XML = {"XML:/*": "REQUEST_XML", "XML://@*": "REQUEST_XML"}
"The agent's names for them in events."


@dataclass(frozen=True)
class Watched:
    """What an exclusion excludes, in terms of events."""

    id: int
    policy_id: int
    virtual_host_id: int | None
    rules: frozenset[int]
    "The excluded rules."
    variables: tuple[str, ...]
    "Empty: all fields of the request."
    name: str
    "The field's name. Empty: every field of its kind."
    name_is_beginning: bool
    path: str
    path_is_beginning: bool
    methods: tuple[str, ...]

    def sees(self, fired: _Fired) -> bool:
        if fired.id in self.rules or is_reporting(fired.id) or not 910_000 <= fired.id < 960_000:
            return False
        return not self.variables or any(self._is_field(match) for match in fired.matches)

    def _is_field(self, match: _Match) -> bool:
        if match.variable not in {XML.get(variable, variable) for variable in self.variables}:
            return False
        key, name = re.sub(r"\.\d+(?=\.|$)", ".*", match.key.lower()), self.name.lower()
        return key.startswith(name) if self.name_is_beginning else not name or name in {key, match.key.lower()}


@dataclass(frozen=True)
class Attacks:
    requests: int
    rules: tuple[int, ...]
    "The rules that fired, by ID."


def attacks(connection: sqlite3.Connection, watched: Sequence[Watched], now: datetime) -> Mapping[int, Attacks]:
    """By the id of the exclusion, if there were any."""
    since, left = id_of(now - SPAN), MOST_IN_ALL
    answers: dict[int, Attacks] = {}
    for row in watched:
        lines = _lines(connection, row, since, min(left, MOST_EVENTS))
        left -= len(lines)
        fired = [[rule.id for rule in _rules(line) if row.sees(rule)] for line in lines]
        if any(fired):
            answers[row.id] = Attacks(sum(map(bool, fired)), tuple(sorted({rule for rules in fired for rule in rules})))
        if left <= 0:
            break
    return answers


def _rules(stored: bytes) -> list[_Fired]:
    agent, _ = unpacked(stored)
    return parsed(agent, RULES).rules if agent else []


def _lines(connection: sqlite3.Connection, row: Watched, since: int, limit: int) -> list[bytes]:
    """Newest first. Finds a path's events by their index, others by the policy's."""
    tests: list[str] = ["event.id >= ?", "+policy = ?" if row.path else "policy = ?"]
    values: list[object] = [since, row.policy_id]
    if row.path:
        paths = _paths(connection, row)
        tests.append(f"path IN ({_places(paths)})")
        values += paths
    if row.virtual_host_id is not None:
        tests.append("+virtual_host = ?")
        values.append(row.virtual_host_id)
    if row.methods:
        tests.append(f"+method IN ({_places(row.methods)})")
        values += row.methods
    question = (
        f"SELECT lines FROM event JOIN event_line ON event_line.id = event.id WHERE {' AND '.join(tests)} "  # noqa: S608
        "ORDER BY event.id DESC LIMIT ?"
    )
    return [lines for (lines,) in connection.execute(question, (*values, limit))]


def _paths(connection: sqlite3.Connection, row: Watched) -> list[int]:
    """As they were sent: percent-encoded or not."""
    numbers: list[int] = []
    for path in spellings(row.path):
        if row.path_is_beginning:
            question = "SELECT id FROM path WHERE text >= ? AND text < ? ORDER BY id DESC LIMIT ?"
            values: tuple[object, ...] = (path, path + "\U0010ffff", MOST_PATHS)
        else:
            question, values = "SELECT id FROM path WHERE text = ?", (path,)
        numbers += [number for (number,) in connection.execute(question, values)]
    return numbers


def spellings(path: str) -> set[str]:
    """Of one that is compared as it was sent, too: an escaped slash in either case."""
    lower, upper = re.sub("%2f", "%2f", path, flags=re.IGNORECASE), re.sub("%2f", "%2F", path, flags=re.IGNORECASE)
    return {path, quote(path), lower, upper}


def _places(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
