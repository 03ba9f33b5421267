"""Applications are compiled by the running agent, and by a new process where it cannot say what would run."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from guardpanel.engines.waf import validation
from guardpanel.engines.waf.agent import Agent
from guardpanel.engines.waf.validation import VALID, by_a_new, by_the_running
from guardpanel.rendering import DesiredState, render
from tests.live.judging import Judge
from tests.live.stack import agent_binary
from tests.rows import FACTS, rows

pytestmark = pytest.mark.anyio

GOOD = {"name": "p9", "directives": "SecRuleEngine On\n", "response_check": False, "transaction_ttl_ms": 1000}
BAD = {**GOOD, "directives": 'SecRuleEngine On\nSecRule ARGS "@nonsense “x”" "id:1,phase:2,pass"\n'}


def document(*applications: dict[str, object]) -> dict[str, object]:
    return {"bind": "unix:///tmp/unused.sock", "log_level": "info", "applications": list(applications)}


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge(rows({"Any": {}}, {})) as running:
        yield running


async def test_both_say_the_same(judge: Judge) -> None:
    binary = str(agent_binary())
    assert await by_the_running(judge.control, binary, document(GOOD)) == VALID
    assert await by_a_new(binary, document(GOOD)) == VALID

    by_running, by_new = (
        await by_the_running(judge.control, binary, document(BAD)),
        await by_a_new(binary, document(BAD)),
    )

    assert by_running == by_new
    assert '"line":2' in by_new


async def test_what_the_running_agent_compiled_no_new_process_compiles(
    judge: Judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def again(*_: object) -> str:
        raise AssertionError("compiled twice")

    monkeypatch.setattr(validation, "by_a_new", again)
    bundle = render(DesiredState.from_rows(rows({"Other": {"inbound_anomaly_threshold": 7}}, {}), FACTS))
    names = [application.name for application in bundle.applications]

    await Agent(str(agent_binary()), judge.control, tmp_path / "coraza.yaml").check(bundle, names)

    assert names


async def test_what_runs_another_binary_is_not_called(judge: Judge, tmp_path: Path) -> None:
    """After an upgrade, the agent that starts next decides."""
    other = shutil.copy(agent_binary(), tmp_path / "guardpanel-spoa")

    assert await by_the_running(judge.control, str(other), document(GOOD)) is None
    assert await by_the_running(judge.control, str(tmp_path / "gone"), document(GOOD)) is None
    assert await by_a_new(str(other), document(GOOD)) == VALID


async def test_nor_what_does_not_run_or_cannot_say(
    judge: Judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = str(agent_binary())
    assert await by_the_running(tmp_path / "none.sock", binary, document(GOOD)) is None
    assert await by_the_running(judge.control, binary, document({**GOOD, "unknown": 1})) is None
    monkeypatch.setattr(validation, "PATIENCE_SECONDS", 0.0)
    assert await by_the_running(judge.control, binary, document(GOOD)) is None
