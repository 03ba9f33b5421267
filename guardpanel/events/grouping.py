"""What requests that fire the same rules in the same place have in common: their *shape*. A virtual host and a shape identify a
group of events (docs/events.md). The ingest stores each event's shape."""

import re
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple, Self

from guardpanel.events.crs import is_reporting
from guardpanel.events.folding import field_template, path_template

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

MOST_KEPT = 1_000
"Answers that are kept: attackers choose what is asked."


class Fired(NamedTuple):
    """A fired rule and its matches: variables with their keys."""

    id: int
    paranoia_level: int | None
    fields: tuple[tuple[str, str], ...]


class Shape(NamedTuple):
    """`path` is a template, and `fields` are variables with their folded key: `ARGS:items[*][name]`."""

    number: int
    "Of 63 bits: it stands for the rest, in every version."
    method: str
    path: str
    rules: tuple[int, ...]
    fields: tuple[str, ...]


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


def shape_of(method: str, path: str, fired: Iterable[Fired], blocking_level: int | None) -> Shape | None:
    """None where no rule contributed. `path` has no query."""
    rules, fields = _found(tuple(fired), blocking_level)
    if not rules:
        return None
    template = path_template(path)
    text = "\n".join((method, template, *map(str, rules), *fields))
    number = int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()) & LARGEST
    return Shape(number, method, template, rules, fields)


@lru_cache(MOST_KEPT)
def _found(fired: tuple[Fired, ...], blocking_level: int | None) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The rules and the fields. Kept: many requests fire the same rules in the same fields."""
    rules = contributing(fired, blocking_level)
    fields = {name for rule in rules for variable, key in rule.fields if (name := field_name(variable, key))}
    return tuple(sorted({rule.id for rule in rules})), tuple(sorted(fields)[:MOST_FIELDS])


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
    name = SAME.get(variable, variable)
    return f"{name}:{field_template(key)}" if key else name
