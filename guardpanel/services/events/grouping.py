"""The group of an event: its virtual host and its shape, which it shares with others (events/grouping.py)."""

import re
from typing import NamedTuple, Self

from guardpanel.events.grouping import Fired, Shape, shape_of
from guardpanel.services.events.details import EventDetail

KEY = re.compile(r"(?P<host>0|[1-9][0-9]{0,17})-(?P<shape>[0-9a-f]{16})")

LEVEL = "blocking_paranoia_level"
"CRS's name in an event's scores."


class GroupKey(NamedTuple):
    """`17-9f86d081884c7d65`: stays the same for what is the same, so that it can stand in addresses and be stored."""

    virtual_host_id: int | None
    "None where no virtual host has the hostname, or before HAProxy's line has come."
    shape: str

    def __str__(self) -> str:
        return f"{self.virtual_host_id or 0}-{self.shape}"

    @classmethod
    def read(cls, text: str) -> Self | None:
        """None for what is no key."""
        match = KEY.fullmatch(text)
        return cls(int(match["host"]) or None, match["shape"]) if match else None


def key_of(event: EventDetail) -> str:
    """Empty where the agent reported no rule that contributed."""
    shape = shape_of_event(event)
    return str(GroupKey(event.item.virtual_host_id, shape.key)) if shape else ""


def shape_of_event(event: EventDetail) -> Shape | None:
    if event.agent_line is None:
        return None
    fired = [
        Fired(rule.id, rule.paranoia_level, tuple((match.variable, match.key) for match in rule.matches))
        for rule in event.rules
    ]
    return shape_of(event.item.method, event.item.path, fired, event.scores.get(LEVEL))
