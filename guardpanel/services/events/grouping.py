"""The group of an event: its virtual host and its shape, which similar events share (events/grouping.py)."""

from guardpanel.events.grouping import Fired, GroupKey, Shape, cause_of, shape_of
from guardpanel.services.events.details import EventDetail

LEVEL = "blocking_paranoia_level"
"CRS's name for it in an event's scores."


def key_of(event: EventDetail) -> str:
    """Empty if the agent reported no contributing rule."""
    shape = shape_of_event(event)
    return str(GroupKey(event.item.virtual_host_id, shape.number)) if shape else ""


def shape_of_event(event: EventDetail) -> Shape | None:
    if event.agent_line is None:
        return None
    fired = [
        Fired(rule.id, rule.paranoia_level, [(match.variable, match.key) for match in rule.matches])
        for rule in event.rules
    ]
    cause = cause_of(fired, event.scores.get(LEVEL))
    return shape_of(event.item.method, event.item.path, cause) if cause else None
