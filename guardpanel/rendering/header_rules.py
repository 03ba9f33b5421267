"""Header rules as the config templates see them, and the room that they take in HAProxy's buffer."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from guardpanel.models.header_rule import VARIABLE, Direction, HeaderAction, HeaderChangeColumns
from guardpanel.models.policies.policy import KIB
from guardpanel.rendering.forged import spellings
from guardpanel.rendering.rows import ColumnReader, Row, Rows

OF_CHANGE = ColumnReader(HeaderChangeColumns)

LONGEST_VARIABLE = 253
"Bytes that a variable becomes: a hostname."

FRAMING = 16
"Bytes of a header in HAProxy’s buffer besides its name and value."

COUNTRY = "{country}"


class HeaderRuleState(NamedTuple):
    """What is done to headers of one name."""

    noun: str
    id: int
    place: str
    "Before the names of its fields: `own_headers.0.` in a path binding."
    direction: Direction
    action: HeaderAction
    header: str
    value: str

    @classmethod
    def from_row(cls, row: Row) -> "HeaderRuleState":
        return cls("header_rule", row["id"], "", **OF_CHANGE.by_name(row))

    @classmethod
    def of_path(cls, row: Row) -> "tuple[HeaderRuleState, ...]":
        """Those of a path binding."""
        return tuple(
            cls("path_binding", row["id"], f"own_headers.{at}.", **OF_CHANGE.by_name(change))
            for at, change in enumerate(row["own_headers"])
        )

    @property
    def spellings(self) -> str | None:
        """Names that a visitor could send in place of one that is set or removed."""
        takes = self.direction is Direction.REQUEST and self.action is not HeaderAction.ADD
        return spellings(self.header) if takes else None

    @property
    def size(self) -> int:
        """Bytes that it adds at most."""
        if self.action is HeaderAction.REMOVE:
            return 0
        text, variables = VARIABLE.subn("", self.value)
        return len(self.header) + len(text.encode()) + variables * LONGEST_VARIABLE + FRAMING


def by_virtual_host(rows: Rows, enabled: Collection[int]) -> Mapping[int, tuple[HeaderRuleState, ...]]:
    """In the order in which they are applied."""
    listed = defaultdict(list)
    for row in sorted(rows.get("headerrule", ()), key=lambda row: (row["position"], row["id"])):
        if row["virtual_host_id"] in enabled:
            listed[row["virtual_host_id"]].append(HeaderRuleState.from_row(row))
    return {host_id: tuple(rules) for host_id, rules in listed.items()}


def size(rules: Collection[HeaderRuleState]) -> int:
    """Bytes that they add to a request, or to a response, whichever is more."""
    return max(sum(rule.size for rule in rules if rule.direction is direction) for direction in Direction)


def room(groups: Iterable[Collection[HeaderRuleState]]) -> int:
    """Whole KiB that HAProxy's buffer needs for headers that are added to a message. `groups`: what is applied together."""
    return -(-max(map(size, groups), default=0) // KIB) * KIB


def ask_for_country(rules: Iterable[HeaderRuleState]) -> bool:
    return any(COUNTRY in rule.value for rule in rules)
