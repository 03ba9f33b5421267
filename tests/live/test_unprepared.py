"""Requests of applications that no case, profile or rule of ours was made for (unprepared.json), under a new policy: the narrowest rung
that works frees each, and nothing beside it.

They were written for these tests after what each application's interface documents: tokens are made up, hosts are examples.
"""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from guardpanel.services.fixes.ladder import Ladder
from tests.live.judging import Judge
from tests.live.test_false_positives import Case, evaluated
from tests.live.test_fix_cases import Trial
from tests.rows import rows

CASES: list[Case] = json.loads((Path(__file__).parent / "unprepared.json").read_text("utf-8"))

RECORDED = [case for case in CASES if case.get("recorded")]
"Those of which an event lacks something that matters: they are fixed through the whole panel, too (test_fixed_cases.py)."


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge(rows({"Any": {}}, {})) as running:
        yield running


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['application']}: {case['name']}")
def test_an_application_that_no_policy_was_prepared_for_is_fixed_narrowly(judge: Judge, case: Case) -> None:
    async def tried() -> tuple[Ladder, list[str]]:
        trial = Trial(judge, case)
        ladder = await trial.ladder()
        assert ladder.chosen is not None
        others = [evaluated(case["request"], neighbor["change"]) for neighbor in case["neighbours"]]
        return ladder, [(await trial.under(ladder.chosen.draft, other)).verdict for other in others]

    ladder, neighbors = asyncio.run(tried())

    assert ladder.before.verdict == "blocked"
    assert ladder.chosen is not None and ladder.chosen.width == case["width"]
    assert neighbors == ["blocked"] * len(case["neighbours"])
