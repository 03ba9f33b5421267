"""A fix is saved as it was tried, and said to do what was shown."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import Conflict
from guardpanel.models import Policy
from guardpanel.models.policies.body_reading import BodyReadingFields
from guardpanel.models.rules.rule_exclusion import RuleExclusionFields
from guardpanel.services import body_readings, policies
from guardpanel.services.fixes import applying
from guardpanel.services.fixes.applying import FixFields
from guardpanel.services.fixes.drafts import Draft
from guardpanel.services.fixes.ladder import Rung
from guardpanel.services.fixes.live_proof import LiveProof
from guardpanel.services.fixes.widths import Width
from guardpanel.services.saving import revisions
from guardpanel.services.saving.change import Change, SaveRequest
from tests.services.saved import rows, saving

pytestmark = pytest.mark.anyio

ADA = SaveRequest("ada")


async def test_a_fix_does_not_take_back_what_was_allowed_while_it_was_tried(template: Path) -> None:
    async with saving(template) as changes:
        async with changes.database.read() as session:
            policy = await policies.find(session, 1)
        methods = policy.allowed_methods

        async def allow(session: AsyncSession) -> Policy:
            row = await policies.find(session, 1)
            row.allowed_methods = [*methods, "PATCH"]
            row.touch(row.version + 1)
            session.add(row)
            return row

        await changes.save(Change(ADA, "Allowed", policies.ROWS.noun.key, 1), allow)
        case: Any = SimpleNamespace(policy=policy, event=None)
        rung = Rung(Width.SETTING, Draft(policy={"allowed_methods": [*methods, "PROPFIND"]}), None)

        with pytest.raises(Conflict, match="changed meanwhile"):
            await applying.apply(changes, ADA, case, rung, FixFields())

        async with changes.database.read() as session:
            assert (await policies.find(session, 1)).allowed_methods == [*methods, "PATCH"]


async def test_a_fix_is_a_change_of_the_rows_that_it_adds(template: Path) -> None:
    async with saving(template) as changes:
        async with changes.database.read() as session:
            policy = await policies.find(session, 1)
        case: Any = SimpleNamespace(policy=policy, event=SimpleNamespace(agent_line=None))
        exclusion = RuleExclusionFields(rules=["941100"], target_name="content", path="/posts")
        rung = Rung(Width.FIELD, Draft(rows=(("rule_exclusion", exclusion),)), None)

        await applying.apply(changes, ADA, case, rung, FixFields())

        async with changes.database.read() as session:
            of_row = (await revisions.page(session, noun="rule_exclusion", noun_id=1)).items
    assert [(change.noun, change.noun_id) for change in of_row] == [("policy", 1)]


async def test_a_body_reading_for_the_same_requests_is_changed(template: Path) -> None:
    def reading(how: str) -> BodyReadingFields:
        where = {"path": "/event", "methods": ["POST"], "content_types": ["text/plain"]}
        return BodyReadingFields.model_validate({**where, "read_as": how})

    async with saving(template) as changes:
        await body_readings.ROWS.under(1).create(changes, ADA, reading("json"))
        async with changes.database.read() as session:
            policy = await policies.find(session, 1)
        case: Any = SimpleNamespace(policy=policy, event=SimpleNamespace(agent_line=None))
        rung = Rung(Width.SETTING, Draft(rows=(("body_reading", reading("text")),)), None)

        await applying.apply(changes, ADA, case, rung, FixFields(reason="Beacons"))

        (row,) = (await rows(changes))["bodyreading"]
        assert (row["read_as"], row["name"], row["reason"]) == ("text", "POST /event text/plain: Text", "Beacons")


@pytest.mark.parametrize(
    ("proof", "words"),
    [
        (
            LiveProof(passes=False, tried=12, blocked=12),
            "Not verified: this request is still blocked, 12 of 12 attacks",
        ),
        (
            LiveProof(passes=True, tried=12, blocked=11),
            "Not verified: this request passes, 11 of 12 attacks next to it",
        ),
        (LiveProof(passes=False, tried=0, blocked=0, problem="No response."), "Not verified: No response"),
    ],
)
def test_a_failing_proof_is_said_first(proof: LiveProof, words: str) -> None:
    assert not proof.holds
    assert proof.sentence.startswith(words)


def test_only_what_was_tried_is_said_to_pass() -> None:
    whole, part = (
        LiveProof(passes=True, tried=12, blocked=12),
        LiveProof(passes=True, tried=0, blocked=0, is_partial=True),
    )

    assert whole.sentence == "This request passes, 12 of 12 attacks next to it are blocked"
    assert part.sentence == "What the event has of this request passes"
