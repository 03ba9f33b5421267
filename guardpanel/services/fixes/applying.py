"""Applies a fix: saves a rung of the ladder through the path of every save. It creates ordinary rows."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import Conflict
from guardpanel.models import NOUNS, Policy
from guardpanel.models.meta import described, lowered
from guardpanel.models.rules.ownership import LastDay, last_day_field, owner_field
from guardpanel.models.types import Fields, Notes, Owner
from guardpanel.services import policies
from guardpanel.services.events.grouping import key_of
from guardpanel.services.fixes import fixed
from guardpanel.services.fixes.cases import Case
from guardpanel.services.fixes.drafts import Draft, is_for_the_same
from guardpanel.services.fixes.ladder import Rung
from guardpanel.services.input import validated
from guardpanel.services.saving import revisions
from guardpanel.services.saving.changes import Change, Changes, SaveRequest, SaveResult
from guardpanel.services.saving.differences import in_words

CHANGED = "The policy changed meanwhile, and so did the fix. Review it, then apply it again."


class FixFields(Fields):
    """The operator's notes on a fix, which are stored in its exclusions."""

    reason: Notes = described("Reason", "")
    owner: Owner = owner_field()
    ends_on: LastDay = last_day_field()


def digest(draft: Draft) -> str:
    """Detects whether the draft that was shown is the one that would be saved."""
    rows = [[key, fields.model_dump(mode="json")] for key, fields in draft.rows]
    text = json.dumps([draft.policy, rows], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def require(rung: Rung | None, shown_digest: str) -> Rung:
    """Raises Conflict for an unknown rung, or one that changed since it was shown."""
    if rung is None or (shown_digest and shown_digest != digest(rung.draft)):
        raise Conflict(CHANGED)
    if not rung.works:
        raise Conflict(f"This does not let the request pass. {rung.problem}")
    return rung


async def apply(
    changes: Changes, request: SaveRequest, case: Case, rung: Rung, fields: FixFields
) -> SaveResult[Policy]:
    change = Change(request, f"Fixed a false positive in {case.policy.name}", policies.ROWS.noun.key, case.policy.id)
    draft = _signed(rung.draft, request, fields)

    async def mutate(session: AsyncSession) -> Policy:
        policy = await policies.find(session, case.policy.id or 0)
        if policy.version != case.policy.version:
            raise Conflict(CHANGED)
        words = [await _set(session, policy, draft)] if draft.policy else []
        put = [await _put(session, policy, key, fields) for key, fields in draft.rows]
        await session.flush()
        words += [f"{lowered(NOUNS[each.noun].word)} {each.row.name} {each.verb}" for each in put]
        change.added = [f"{each.noun}:{each.row.id}" for each in put]
        if group := key_of(case.event):
            await fixed.record(session, policy.id or 0, group)
        change.summary = f"{policy.name}: not an attack, {', '.join(words[:3])}"
        if len(words) > 3:
            change.summary += f" and {len(words) - 3} more"
        return policy

    return await changes.save(change, mutate)


def _signed(draft: Draft, request: SaveRequest, fields: FixFields) -> Draft:
    own = {"reason": fields.reason, "owner": fields.owner or request.who, "ends_on": fields.ends_on}
    return Draft(draft.policy, tuple((key, _named(row, own)) for key, row in draft.rows))


def _named(row: BaseModel, own: Mapping[str, Any]) -> BaseModel:
    """With those that rows have: a rule override has no last day."""
    return row.model_copy(update={name: value for name, value in own.items() if name in type(row).model_fields})


async def _set(session: AsyncSession, policy: Policy, draft: Draft) -> str:
    before = policies.fields_of(policy)
    fields = validated(type(before), {**before.model_dump(), **draft.policy})
    policy.replace(fields).touch(await revisions.version_after(session, policy.version))
    session.add(policy)
    return in_words(before, fields)


@dataclass(frozen=True)
class Put:
    noun: str
    row: Any
    verb: str
    "`added`, `changed`"


async def _put(session: AsyncSession, policy: Policy, key: str, fields: Any) -> Put:
    """A new row, or the policy's own one for the same requests or the same rule."""
    noun = NOUNS[key]
    table: Any = noun.table
    rows = await session.exec(select(table).where(getattr(table, str(noun.within)) == policy.id))
    row: Any = next((row for row in rows.all() if is_for_the_same(row.model_dump(), fields)), None)
    verb = "changed" if row else "added"
    if row is None:
        row = table()
        setattr(row, str(noun.within), policy.id)
        row.replace(fields)
    else:
        row.replace(fields)
        row.touch(await revisions.version_after(session, row.version))
    session.add(row)
    return Put(key, row, verb)
