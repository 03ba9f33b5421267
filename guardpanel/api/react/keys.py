"""A body in which the React panel's keys stand for some of ours."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel


class Keys(NamedTuple):
    ours: dict[str, Any]
    "Our fields that are to change."
    theirs: dict[str, Any]
    "All of its keys that were sent."
    new: dict[str, Any]
    "Those of them that are not as they were read: only these say something."
    names: dict[str, str]
    "By our fields the key that said it."


def keys(body: BaseModel, now: Mapping[str, Any], read: Mapping[str, Any], says: Mapping[str, Collection[str]]) -> Keys:
    """`now`: our fields, `read`: its keys, as a row has them; neither where one is added. `says`: by its keys our fields."""
    sent = body.model_dump(exclude_unset=True)
    theirs = {name: sent.pop(name) for name in says if name in sent}
    ours = {name: value for name, value in sent.items() if not now or value != now[name]}
    new = {name: value for name, value in theirs.items() if not read or value != read[name]}
    return Keys(ours, theirs, new, {field: name for name in theirs for field in says[name] if field not in ours})
