"""What requests have in common that fire the same rules in the same place: their *shape*.

A virtual host and a shape are a group of events (docs/events.md). The ingest keeps each event's shape beside it.
"""

from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple

from guardpanel.events.crs import is_reporting
from guardpanel.events.folding import field_template, path_template

INITIALIZING = 901
"Thousand of the rules that set CRS up."

SAME = {
    "ARGS_GET": "ARGS", "ARGS_POST": "ARGS", "ARGS_GET_NAMES": "ARGS_NAMES", "ARGS_POST_NAMES": "ARGS_NAMES",
    "REQUEST_URI_RAW": "REQUEST_URI",
}  # fmt: skip
"Variables that name one thing: which of them is said depends on the rule alone."

NO_PLACE = frozenset(
    {"TX", "MATCHED_VAR", "MATCHED_VARS", "MATCHED_VAR_NAME", "MATCHED_VARS_NAMES", "UNIQUE_ID", "ENV"}
)
"Variables of the engine, not of the request."

MOST_FIELDS = 20


class Fired(NamedTuple):
    """A rule that fired, and on what: variables with their keys."""

    id: int
    paranoia_level: int | None
    fields: Iterable[tuple[str, str]]


class Shape(NamedTuple):
    """`fields` are variables with their folded key: `ARGS:items[*][name]`."""

    method: str
    path: str
    rules: tuple[int, ...]
    fields: tuple[str, ...]

    @property
    def key(self) -> str:
        """16 hexadecimal digits that stand for it, in every version."""
        text = "\n".join((self.method, self.path, *map(str, self.rules), *self.fields))
        return blake2b(text.encode(), digest_size=8).hexdigest()


def shape_of(method: str, path: str, fired: Iterable[Fired], blocking_level: int | None) -> Shape | None:
    """None where no rule contributed. `path` has no query."""
    rules = contributing(fired, blocking_level)
    if not rules:
        return None
    fields = sorted({name for rule in rules for variable, key in rule.fields if (name := field_name(variable, key))})
    return Shape(method, path_template(path), tuple(sorted({rule.id for rule in rules})), tuple(fields[:MOST_FIELDS]))


def contributing(fired: Iterable[Fired], blocking_level: int | None) -> list[Fired]:
    """The rules that found something and whose points count; all that found something where none of them counts.
    `blocking_level`: up to which paranoia level they do; None: nobody said."""
    causes = [rule for rule in fired if rule.id // 1_000 != INITIALIZING and not is_reporting(rule.id)]
    counting = [rule for rule in causes if not is_only_logged(rule, blocking_level)]
    return counting or causes


def is_only_logged(rule: Fired, blocking_level: int | None) -> bool:
    return bool(blocking_level and rule.paranoia_level and rule.paranoia_level > blocking_level)


def field_name(variable: str, key: str) -> str:
    """Empty for what is no place in a request."""
    if variable in NO_PLACE:
        return ""
    name = SAME.get(variable, variable)
    return f"{name}:{field_template(key)}" if key else name
