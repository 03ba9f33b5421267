"""What ordinary applications send and settings of a policy free: a way to read the body, a header or extension off its list.

The requests are in settings.json: the policy with the application's methods and content types, what is taken off its lists,
the body readings, and neighbours, each a change of the request, that stay blocked.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guardpanel.models.policies.body_reading import BodyReadingFields
from guardpanel.models.policies.restrictions import EXTENSIONS, HEADERS
from guardpanel.services.body_readings import must_have_effect
from tests.live.judging import Judge
from tests.live.test_false_positives import Case, evaluated
from tests.rows import rows

CASES: list[Case] = json.loads((Path(__file__).parent / "settings.json").read_text("utf-8"))

LISTS = {"restricted_headers": list(HEADERS), "restricted_extensions": EXTENSIONS}


def policy(case: Case, *, with_settings: bool) -> dict[str, Any]:
    off = case["taken_off"] if with_settings else {}
    lists = {name: [entry for entry in LISTS[name] if entry not in entries] for name, entries in off.items()}
    return {"enforcement_mode": "block", **case["policy"], **lists}


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    """Of each case the policy with its settings, and at the end one of each without."""
    policies = {
        f"{with_settings} {index}": policy(case, with_settings=with_settings)
        for with_settings in (True, False)
        for index, case in enumerate(CASES)
    }
    readings = [{"policy": f"True {index}", **row} for index, case in enumerate(CASES) for row in case["readings"]]
    with Judge(rows(policies, {}, readings=readings)) as made:
        yield made


@pytest.mark.parametrize(
    "index", range(len(CASES)), ids=lambda index: f"{CASES[index]['application']}: {CASES[index]['name']}"
)
def test_settings_free_a_request_and_nothing_beside_it(judge: Judge, index: int) -> None:
    case = CASES[index]
    request = evaluated(case["request"], {})
    with_settings, without = judge.says(request, index + 1), judge.says(request, index + 1 + len(CASES))
    neighbours = [
        judge.says(evaluated(case["request"], neighbor["change"]), index + 1)["verdict"]
        for neighbor in case["neighbours"]
    ]

    assert (with_settings["verdict"], without["verdict"]) == ("pass", "blocked")
    assert neighbours == ["blocked"] * len(case["neighbours"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_none_of_their_body_readings_is_taken_for_a_placebo(case: Case) -> None:
    for row in case["readings"]:
        must_have_effect(BodyReadingFields.model_validate(row), [])
