"""What ordinary applications send and the rule set takes for an attack: the exclusions free it, and what is beside it stays blocked.

The requests are in false_positives.json: what each application sends, the exclusions for it as a form or a program gives them,
and neighbours, each a change of the request with the verdict that it has with the exclusions.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guardpanel.models.rules.rule_exclusion import RuleExclusionFields
from guardpanel.services.rules.exclusion_checks import must_have_effect
from tests.live.judging import EvaluatedRequest, Judge
from tests.rows import rows
from tests.rule_set import rule_set

Case = dict[str, Any]

CASES: list[Case] = json.loads((Path(__file__).parent / "false_positives.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    """Of each case the policy with its exclusions, and at the end one of each without."""
    policies = {f"{with_them} {at}": {"enforcement_mode": "block", **case["policy"]}
                for with_them in ("With", "Without") for at, case in enumerate(CASES)}  # fmt: skip
    given = [{"policy": f"With {at}", **exclusion} for at, case in enumerate(CASES) for exclusion in case["exclusions"]]
    with Judge(rows(policies, {}, exclusions=given)) as made:
        yield made


def evaluated(request: Case, change: Case) -> EvaluatedRequest:
    """A change replaces whole members; the Content-Length follows the body."""
    made = {**request, **change}
    body = base64.b64decode(made["body_base64"]) if "body_base64" in made else str(made.get("body", "")).encode()
    headers = [[name, str(len(body)) if name.lower() == "content-length" else value] for name, value in made["headers"]]
    return {
        "client": "198.51.100.23", "method": made["method"], "uri": made["path"], "version": "1.1", "headers": headers,
        "body": base64.b64encode(body).decode(),
    }  # fmt: skip


@pytest.mark.parametrize("at", range(len(CASES)), ids=lambda at: f"{CASES[at]['application']}: {CASES[at]['name']}")
def test_exclusions_pass_only_their_request(judge: Judge, at: int) -> None:
    case = CASES[at]
    freed, blocked = (
        judge.says(evaluated(case["request"], {}), at + 1),
        judge.says(evaluated(case["request"], {}), at + 1 + len(CASES)),
    )
    neighbours = [
        judge.says(evaluated(case["request"], neighbor["change"]), at + 1)["verdict"] for neighbor in case["neighbours"]
    ]

    assert (freed["verdict"], blocked["verdict"]) == ("pass", "blocked")
    assert neighbours == [neighbor["expect"] for neighbor in case["neighbours"]]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_none_of_them_is_taken_for_a_placebo(case: Case) -> None:
    for exclusion in case["exclusions"]:
        must_have_effect(RuleExclusionFields.model_validate(exclusion), rule_set())
