"""The page that tests a request under a policy, and the same from the policy's form."""

import httpx2
import pytest

from guardpanel.engines.waf.evaluation import EvaluatedRule, Evaluation, Match
from tests.factories import a_policy
from tests.fakes import FakeEngines
from tests.html import read
from tests.rule_set import rule_set

pytestmark = pytest.mark.anyio

PLACE = "/policies/1/test"
REQUEST = "curl 'http://shop.example/?q=%3Cscript%3E'"
XSS = EvaluatedRule(941100, 2, 1, "XSS <b>", "", (), (Match("ARGS", "q", "<script>", 0),))
BLOCKED = Evaluation("blocked", 403, 949110, 15, 5, (XSS,))


@pytest.fixture
def directives(engines: FakeEngines, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The directives under which the agent was asked."""
    directives: list[str] = []

    async def evaluate(text: str, _request: object) -> Evaluation:
        directives.append(text)
        return BLOCKED

    monkeypatch.setattr(engines.agent, "evaluate", evaluate, raising=False)
    return directives


async def test_a_request_is_tested_under_the_policy_as_saved(
    ada: httpx2.AsyncClient, engines: FakeEngines, directives: list[str]
) -> None:
    engines.agent.known_rules = rule_set()
    assert read((await ada.get("/policies/1")).text).find("a", href=PLACE)
    assert read((await ada.get(PLACE)).text).find("textarea", name="request")

    page = read((await ada.post(PLACE, data={"request": REQUEST})).text)

    assert "Blocked with 403. Score 15 of 5. OWASP CRS 4.25.0." in page.text
    assert page.find("a", href="/rules/941100") and "XSS <b>" in page.text and "ARGS:q = <script>" in page.text
    assert page.value("request").strip() == REQUEST
    assert "as it is typed" not in page.text
    assert "SecRuleEngine On" in directives[0]


async def test_a_request_is_tested_under_the_policy_as_typed(ada: httpx2.AsyncClient, directives: list[str]) -> None:
    form = read((await ada.get("/policies/1/edit")).text)
    assert form.find("button", formaction=PLACE)

    page = read((await ada.post(PLACE, data=a_policy(inbound_anomaly_threshold="77", request=REQUEST))).text)
    wrong = read((await ada.post(PLACE, data=a_policy(inbound_anomaly_threshold="x", request=REQUEST))).text)

    assert "With the policy as it is typed, not saved." in page.text
    assert "inbound_anomaly_score_threshold=77" in directives[0]
    assert "Inbound anomaly threshold: " in wrong.text and len(directives) == 1
    assert "77" not in (await ada.get("/policies/1")).text


@pytest.mark.parametrize(
    ("sent", "words"), [("", "Request: Paste a request"), ("hello", "Request: Begin with the request line")]
)
async def test_what_is_no_request_is_told(
    ada: httpx2.AsyncClient, directives: list[str], sent: str, words: str
) -> None:
    assert words in read((await ada.post(PLACE, data={"request": sent})).text).text
    assert directives == []


async def test_a_policy_that_is_none_is_404(ada: httpx2.AsyncClient, nobody: httpx2.AsyncClient) -> None:
    assert (await ada.get("/policies/99/test")).status_code == 404
    assert (await ada.post("/policies/99/test", data={"request": REQUEST})).status_code == 404
    assert (await nobody.post(PLACE, data={"request": REQUEST})).status_code in {303, 401}
