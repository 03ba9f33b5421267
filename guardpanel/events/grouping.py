"""What requests that fire the same rules in the same place have in common: their *shape*. A virtual host and a shape identify a
group of events (docs/events.md). The ingest stores each event's shape."""

import re
from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple, Self

from guardpanel.events.crs import fired_on, is_reporting
from guardpanel.events.folding import field_template, path_template
from guardpanel.events.texts import legible

INITIALIZING = 901
"The family of CRS's setup rules."

SAME = {
    "ARGS_GET": "ARGS", "ARGS_POST": "ARGS", "ARGS_GET_NAMES": "ARGS_NAMES", "ARGS_POST_NAMES": "ARGS_NAMES",
    "REQUEST_URI_RAW": "REQUEST_URI",
}  # fmt: skip
"Variables for the same thing: which one is reported depends on the rule alone."

NO_PLACE = frozenset(
    {"TX", "MATCHED_VAR", "MATCHED_VARS", "MATCHED_VAR_NAME", "MATCHED_VARS_NAMES", "UNIQUE_ID", "ENV"}
)
"Variables of the engine, not of the request."

KEY = re.compile(r"(?P<host>0|[1-9][0-9]{0,17})-(?P<shape>[0-9a-f]{16})")

LARGEST = 2**63 - 1
"Of SQLite's numbers."

MOST_FIELDS = 20


class Fired(NamedTuple):
    """A fired rule and its matches: variables with their keys."""

    id: int
    paranoia_level: int | None
    fields: Iterable[tuple[str, str]]


class Cause(NamedTuple):
    """What fired, in which fields: variables with their folded key, as `ARGS:items[*][name]`."""

    rules: tuple[int, ...]
    fields: tuple[str, ...]
    text: str
    "Both."


class Shape(NamedTuple):
    number: int
    "Of 63 bits: it stands for the rest, in every version."
    method: str
    path: str
    "A template."
    cause: Cause


class GroupKey(NamedTuple):
    """`17-9f86d081884c7d65`: stays the same for what is the same, so that it can stand in addresses and be stored."""

    virtual_host_id: int | None
    "None where no virtual host has the hostname, or before HAProxy's line has come."
    shape: int

    def __str__(self) -> str:
        return f"{self.virtual_host_id or 0}-{self.shape:016x}"

    @classmethod
    def read(cls, text: str) -> Self | None:
        """None for what is no key."""
        match = KEY.fullmatch(text)
        return cls(int(match["host"]) or None, int(match["shape"], 16) & LARGEST) if match else None


def shape_of(method: str, path: str, cause: Cause) -> Shape:
    """`path` has no query."""
    template = path_template(path)
    digest = blake2b(f"{method}\n{template}\n{cause.text}".encode(), digest_size=8).digest()
    return Shape(int.from_bytes(digest) & LARGEST, method, template, cause)


def cause_of(fired: Iterable[Fired], blocking_level: int | None) -> Cause | None:
    """None where no rule contributed."""
    rules = contributing(fired, blocking_level)
    names = {name for rule in rules for variable, key in fired_on(rule.fields) if (name := field_name(variable, key))}
    ids, fields = tuple(sorted({rule.id for rule in rules})), tuple(sorted(names)[:MOST_FIELDS])
    return Cause(ids, fields, "\n".join((*map(str, ids), *fields))) if ids else None


def contributing(fired: Iterable[Fired], blocking_level: int | None) -> list[Fired]:
    """The matching rules whose points count, or all matching rules if none counts. `blocking_level`: the highest paranoia level
    whose points count. None: unknown."""
    causes = [rule for rule in fired if rule.id // 1_000 != INITIALIZING and not is_reporting(rule.id)]
    counting = [rule for rule in causes if not is_only_logged(rule, blocking_level)]
    return counting or causes


def is_only_logged(rule: Fired, blocking_level: int | None) -> bool:
    return bool(blocking_level and rule.paranoia_level and rule.paranoia_level > blocking_level)


def field_name(variable: str, key: str) -> str:
    """Empty for variables that are not part of a request."""
    if variable in NO_PLACE:
        return ""
    name = SAME.get(variable, legible(variable))
    return f"{name}:{field_template(key)}" if key else name
