"""A custom rule tried before it is saved: what its policy would say of a pasted request with this draft."""

import asyncio

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.engines.evaluation import Evaluation
from guardpanel.models.custom_rule import NOUN, CustomRuleFields
from guardpanel.services.fixes.drafts import Draft, ground_of
from guardpanel.services.pasted_requests import read_request
from guardpanel.services.saving import snapshots
from guardpanel.services.saving.changes import Changes

REQUEST = "request"
"The field of the form that holds the request."


async def try_rule(
    changes: Changes, session: AsyncSession, policy_id: int, fields: CustomRuleFields, text: str
) -> Evaluation:
    """In place of the policy's rule with the same ID, blocking. Raises Invalid at the request, EngineUnavailable."""
    request = read_request(text, REQUEST)
    rows = await asyncio.to_thread(snapshots.rows, await snapshots.take(session))
    await session.commit()  # the evaluation follows: no connection waits for it
    others = [row for row in rows[NOUN.table_name] if (row["policy_id"], row["rule_id"]) != (policy_id, fields.rule_id)]
    ground = ground_of({**rows, NOUN.table_name: others}, changes.renderer.facts, policy_id, 0)
    draft = Draft(rows=((NOUN.key, fields.model_copy(update={"enabled": True})),))
    directives = await asyncio.to_thread(ground.directives, draft)
    return await changes.engines.agent.evaluate(directives, request.question())
