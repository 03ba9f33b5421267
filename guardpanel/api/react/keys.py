"""A body in which some of our fields have the React panel's keys."""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, TypeAdapter, ValidationError


class Keys(NamedTuple):
    ours: dict[str, Any]
    "Our fields to change."
    theirs: dict[str, Any]
    "All of its keys that were sent."
    new: dict[str, Any]
    "Those that differ from what was read: only these request a change."
    names: dict[str, str]
    "The key that set each of our fields."


def keys(
    body: BaseModel, now: Mapping[str, Any], read: Mapping[str, Any], meanings: Mapping[str, Collection[str]]
) -> Keys:
    """`now` are our fields and `read` its keys of the current row. Both are empty for a new one. `meanings` maps its keys to our
    fields."""
    sent = body.model_dump(exclude_unset=True)
    theirs = {name: sent.pop(name) for name in meanings if name in sent}
    ours = {name: value for name, value in sent.items() if name not in now or value != now[name]}
    new = {name: value for name, value in theirs.items() if not read or value != read[name]}
    return Keys(ours, theirs, new, {field: name for name in theirs for field in meanings[name] if field not in ours})


def is_as_read(value: Any, read: Any) -> bool:
    """Whether all keys that it has are as they were read."""
    if isinstance(value, list):
        return len(value) == len(read) and all(map(is_as_read, value, read))
    if isinstance(value, dict):
        there = dict(read)
        return all(part == there[name] for name, part in value.items())
    return bool(value == read)


def fits(fields: type[BaseModel], ours: str, value: Any) -> bool:
    """Whether one of our fields takes this value, whatever the others are."""
    try:
        _adapter(fields, ours).validate_python(value)
    except ValidationError:
        return False
    return True


@cache
def _adapter(fields: type[BaseModel], ours: str) -> TypeAdapter[Any]:
    info = fields.model_fields[ours]
    annotation: Any = Annotated[info.annotation, *info.metadata]
    return TypeAdapter(annotation)
