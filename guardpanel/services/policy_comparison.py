"""A policy compared with another one, or with itself at a revision: by effect, in the words of history.

All that is within a policy is compared, whatever noun it is. Of two policies, things with the same fields are the same, and
the others with the same name are one that differs.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import NotFound
from guardpanel.models import NOUNS
from guardpanel.models.meta import about
from guardpanel.models.noun import Key, Noun
from guardpanel.models.policies.policy import NOUN
from guardpanel.rendering import Rows
from guardpanel.services.history import history
from guardpanel.services.saving import differences, noun_rows, snapshots
from guardpanel.services.saving.differences import Difference, Kind

ITSELF = 1
"The id that both have where they are compared."

INSIDE = tuple(noun for noun in NOUNS.values() if noun.parent == NOUN.key)


@dataclass(frozen=True)
class Side:
    policy_id: int
    revision: int | None = None
    "None: as it is now."


@dataclass(frozen=True)
class PolicyComparison:
    before: str
    "What the two are called."
    after: str
    differences: list[Difference]
    places: Mapping[Key, str]
    "Of what is only in one of them, or differs: the address of its page, where it is there now."

    def of_kind(self, kind: Kind) -> list[Difference]:
        return [difference for difference in self.differences if difference.kind == kind]


async def compare(session: AsyncSession, before: Side, after: Side) -> PolicyComparison:
    """NotFound where a policy or a revision is not there."""
    old, new = await _rows(session, before), await _rows(session, after)
    return await asyncio.to_thread(_compare, old, new, before, after)


async def _rows(session: AsyncSession, side: Side) -> Rows:
    state = await (history.now(session) if side.revision is None else history.at_revision(session, side.revision))
    return await asyncio.to_thread(lambda: snapshots.rows(snapshots.unpacked(state.rows)))


def _compare(old: Rows, new: Rows, before: Side, after: Side) -> PolicyComparison:
    names = _name(old, before), _name(new, after)
    called = next(NOUN.name(row) for row in new[NOUN.table_name] if row["id"] == after.policy_id)
    by_id = before.policy_id == after.policy_id
    pairs = {noun.key: _numbered(noun, old, new, before, after, by_id=by_id) for noun in INSIDE}
    then = _alone(old, before, {key: numbers for key, (numbers, _) in pairs.items()}, called)
    now = _alone(new, after, {key: numbers for key, (_, numbers) in pairs.items()}, called)
    places = {
        (key, number): NOUNS[key].url(row_id, side.policy_id)
        for key, both in pairs.items()
        for numbers, side in zip(both, (before, after), strict=True)
        for row_id, number in numbers.items()
        if side.revision is None
    }
    return PolicyComparison(*names, differences.between(then, now), places)


def _name(rows: Rows, side: Side) -> str:
    name = next((NOUN.name(row) for row in rows[NOUN.table_name] if row["id"] == side.policy_id), None)
    when = f"revision {side.revision}" if side.revision else "now"
    if name is None:
        raise NotFound(f"The policy did not exist in {when}." if side.revision else "Policy not found.")
    return f"{name}, {when}"


def _numbered(
    noun: Noun, old: Rows, new: Rows, before: Side, after: Side, *, by_id: bool
) -> tuple[dict[int, int], dict[int, int]]:
    """For the ids on either side the ones by which they are compared: the same for what is the same thing."""
    then, now = _within(noun, old, before), _within(noun, new, after)
    if by_id:
        return {row["id"]: row["id"] for row in then}, {row["id"]: row["id"] for row in now}
    left: dict[int, int] = {}
    right: dict[int, int] = {}
    for key_of in (_effect, _name_alone):
        free: dict[str, list[int]] = {}
        for row in then:
            if row["id"] not in left:
                free.setdefault(key_of(noun, row), []).append(row["id"])
        for row in now:
            same = free.get(key_of(noun, row), [])
            if row["id"] not in right and same:
                left[same[0]] = right[row["id"]] = len(left) + 1
                same.pop(0)
    _fill(left, then, len(left))
    _fill(right, now, len(left))
    return left, right


def _fill(numbers: dict[int, int], rows: Iterable[Mapping[str, Any]], last: int) -> None:
    for row in rows:
        if row["id"] not in numbers:
            last += 1
            numbers[row["id"]] = last


def _effect(noun: Noun, row: Mapping[str, Any]) -> str:
    return repr([row.get(name) for name in about(noun.fields)])


def _name_alone(noun: Noun, row: Mapping[str, Any]) -> str:
    return noun.name(row)


def _within(noun: Noun, rows: Rows, side: Side) -> Sequence[Mapping[str, Any]]:
    return [row for row in noun_rows.with_parts(noun, rows) if row[noun.within] == side.policy_id]


def _alone(rows: Rows, side: Side, numbers: Mapping[str, Mapping[int, int]], called: str) -> Rows:
    """Only that policy and what is in it, under the ids by which they are compared; and all that these refer to."""
    nouns = {NOUN.key: {side.policy_id: ITSELF}, **numbers}
    alone: dict[str, Any] = dict(rows)
    for noun in NOUNS.values():
        known = nouns.get(noun.key)
        if known is None:
            continue
        own = [row for row in rows[noun.table_name] if row["id"] in known]
        alone[noun.table_name] = [_renamed(row, noun, known[row["id"]], called) for row in own]
        for part in noun.parts:
            if part.table:
                items = [row for row in rows[part.table_name] if row[part.owner] in known]
                alone[part.table_name] = [{**row, part.owner: known[row[part.owner]]} for row in items]
    return alone


def _renamed(row: Mapping[str, Any], noun: Noun, number: int, called: str) -> dict[str, Any]:
    inside = {noun.within: ITSELF} if noun.within else {}
    same = {"name": called, "description": ""} if noun is NOUN else {}
    return {**row, "id": number, **inside, **same}
