"""What ordinary applications send, fixed through the panel's JSON: it passes, what is beside it stays blocked, and what `evaluate`
gave under the draft is what live traffic gets."""

from collections.abc import Iterator

import pytest

from tests.haproxies import ONE, haproxy_binary
from tests.live.fixing import FOLDER, Site, cases
from tests.live.test_both_doors_live import bearer
from tests.live.test_false_positives import Case
from tests.panel import Panel, origin_server, running_panel
from tests.web import an_account

pytestmark = pytest.mark.one_haproxy


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Panel, int]]:
    with running_panel(haproxy_binary(ONE[0])) as panel, origin_server() as port:
        an_account(panel)
        yield panel, port


@pytest.mark.parametrize("case", cases(4), ids=lambda case: f"{case['application']}: {case['name']}")
def test_a_case_is_fixed_live_and_undone(served: tuple[Panel, int], case: Case) -> None:
    panel, port = served
    with bearer(panel) as api:
        site = Site.of(panel, api, port, case)
        question = site.question(case["request"], {})
        neighbors = [site.question(case["request"], one["change"]) for one in case["neighbours"]]
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
        assert live[1:] == [one["expect"] == "blocked" for one in case["neighbours"]]
