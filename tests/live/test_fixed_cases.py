"""What ordinary applications send, fixed through the panel's JSON: it passes, what is beside it stays blocked, and what `evaluate`
gave under the draft is what live traffic gets."""

import pytest

from tests.live.fixing import FOLDER, Site, cases
from tests.live.test_false_positives import Case
from tests.live.test_unprepared import RECORDED
from tests.panel import Panel
from tests.web import bearer

pytestmark = pytest.mark.one_haproxy


@pytest.mark.parametrize(
    "case", [*cases(2), *([] if FOLDER else RECORDED)], ids=lambda case: f"{case['application']}: {case['name']}"
)
def test_a_case_is_fixed_live_and_undone(shared_panel: Panel, origin_port: int, case: Case) -> None:
    with bearer(shared_panel) as api:
        site = Site.of(shared_panel, api, origin_port, case)
        question = site.question(case["request"], {})
        neighbors = [site.question(case["request"], neighbor["change"]) for neighbor in case["neighbours"]]
        event = site.event_of(question)
        ladder = site.ladder(event)
        rung = next(rung for rung in ladder["rungs"] if rung["width"] == ladder["narrowest"])
        evaluated = site.evaluated(rung, [question, *neighbors])

        applied = api.post(f"/events/{event}/fix", json={"width": rung["width"], "draft": rung["draft"]})
        assert applied.status_code == 200, applied.text
        live = [site.blocks(each) for each in (question, *neighbors)]
        site.undo(applied.json()["change_id"])
        again = site.blocks(question)

    assert live == evaluated
    assert (live[0], again, applied.json()["proof"]["verified"]) == (False, True, True), applied.json()["proof"]
    if not FOLDER:  # neighbors of others' cases are what their own fix leaves
        assert live[1:] == [neighbor["expect"] == "blocked" for neighbor in case["neighbours"]]
