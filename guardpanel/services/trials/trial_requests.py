"""A pasted request under a policy: as it is, with its fields as they are typed, or with the draft of a custom rule."""

import asyncio
from collections.abc import Callable

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.engines.waf.evaluation import Evaluation
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.models.rules.custom_rule import NOUN, CustomRuleFields
from guardpanel.rendering import Rows
from guardpanel.services import policies
from guardpanel.services.fixes.drafts import Draft, ground_of
from guardpanel.services.saving import snapshots
from guardpanel.services.saving.changes import Changes
from guardpanel.services.trials.pasted_requests import read_request

REQUEST = "request"
"The field of the form that holds the request."


async def try_rule(
    changes: Changes, session: AsyncSession, policy_id: int, fields: CustomRuleFields, text: str
) -> Evaluation:
    """In place of the policy's rule with the same ID, blocking. Raises Invalid at the request, EngineUnavailable."""

    def without_it(rows: Rows) -> Rows:
        others = [
            row for row in rows[NOUN.table_name] if (row["policy_id"], row["rule_id"]) != (policy_id, fields.rule_id)
        ]
        return {**rows, NOUN.table_name: others}

    draft = Draft(rows=((NOUN.key, fields.model_copy(update={"enabled": True})),))
    return await _evaluate(changes, session, policy_id, draft, text, without_it)


async def try_policy(
    changes: Changes, session: AsyncSession, policy_id: int, fields: PolicyFields | None, text: str
) -> Evaluation:
    """Blocking, whatever its mode; `fields` None: as it is saved. Raises NotFound, Invalid at the request, EngineUnavailable."""
    await policies.find(session, policy_id)
    draft = Draft(policy=fields.model_dump(mode="json")) if fields else Draft()
    return await _evaluate(changes, session, policy_id, draft, text, lambda rows: rows)


async def _evaluate(
    changes: Changes, session: AsyncSession, policy_id: int, draft: Draft, text: str, change: Callable[[Rows], Rows]
) -> Evaluation:
    request = read_request(text, REQUEST)
    rows = await asyncio.to_thread(snapshots.rows, await snapshots.take(session))
    await session.commit()  # the evaluation follows: no connection waits for it
    ground = ground_of(change(rows), changes.renderer.facts, policy_id, 0)
    directives = await asyncio.to_thread(ground.directives, draft)
    return await changes.engines.agent.evaluate(directives, request.question())
