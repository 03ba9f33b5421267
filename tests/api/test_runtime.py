"""What runs, as the React panel asks for it."""

import httpx2
import pytest

from guardpanel.engines import Drift, Place
from guardpanel.panel import Panel
from tests.contracts.operations import DOCUMENT
from tests.factories import a_vhost
from tests.fakes import FakeEngines

PATHS = DOCUMENT["paths"]
pytestmark = pytest.mark.anyio

STATUS, APPLY = "/api/v1/runtime/status", "/api/v1/config/apply"


async def test_what_is_saved_is_deployed(ada_api: httpx2.AsyncClient) -> None:
    before = (await ada_api.get(STATUS)).json()
    await ada_api.post("/api/v1/vhosts", json=a_vhost())
    after = (await ada_api.get(STATUS)).json()

    for status in (before, after):
        assert status["deployment_state"] == "deployed"
        assert status["latest_reload"]["status"] == "success"
        assert status["latest_reload"]["config_checksum"] == status["generated_config"]["checksum"]
        assert status["latest_reload"]["created_at"].endswith("Z")
    assert before["generated_config"] != after["generated_config"]
    assert (before["revision"], after["revision"]) == (1, 2)


async def test_a_refused_save_is_no_reload(ada_api: httpx2.AsyncClient, engines: FakeEngines) -> None:
    before = (await ada_api.get(STATUS)).json()
    engines.reject("name", "no", noun="virtual_host", noun_id=1)
    await ada_api.post("/api/v1/vhosts", json=a_vhost())

    assert (await ada_api.get(STATUS)).json() == before


async def test_drift_makes_the_react_panel_offer_to_apply_and_apply_mends_it(
    ada_api: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    engines.running = None
    drifted = (await ada_api.get(STATUS)).json()
    applied = await ada_api.post(APPLY)
    mended = (await ada_api.get(STATUS)).json()

    assert drifted["latest_reload"]["config_checksum"] != drifted["generated_config"]["checksum"]
    assert drifted["state"] == "drift"
    assert applied.status_code == 200
    assert applied.json()["message"] == "Revision 1 is live."
    assert applied.json()["correlation_id"] == applied.headers["x-request-id"]
    assert mended["latest_reload"]["config_checksum"] == mended["generated_config"]["checksum"]


async def test_drift_that_haproxy_does_not_run_is_offered_too_and_named(
    ada_api: httpx2.AsyncClient, panel: Panel, engines: FakeEngines
) -> None:
    """Saves are refused until it is applied, or kept."""
    engines.drifted = [Drift(Place.FILES, "haproxy.cfg of release 1 was changed outside guardpanel.")]
    panel.changes.watch.record(tuple(engines.drifted))

    refused = await ada_api.post("/api/v1/vhosts", json=a_vhost())
    reload = (await ada_api.get(STATUS)).json()["latest_reload"]
    engines.drifted = []
    applied = await ada_api.post(APPLY)
    mended = (await ada_api.get(STATUS)).json()

    assert refused.status_code == 409
    assert (reload["config_checksum"], reload["status"]) == (None, "failed")
    assert reload["message"] == "haproxy.cfg of release 1 was changed outside guardpanel."
    assert applied.status_code == 200
    assert mended["latest_reload"]["config_checksum"] == mended["generated_config"]["checksum"]


async def test_an_operation_that_another_replaces_names_its_successor(ada_api: httpx2.AsyncClient) -> None:
    """Those are marked in the document. What they do, the React panel still needs."""
    marked = {
        (path, method) for path, methods in PATHS.items() for method in methods if "deprecated" in methods[method]
    }
    answers = {
        (path, method): await ada_api.request(method, path.replace("{ip}", "192.0.2.1")) for path, method in marked
    }

    assert {where: answer.headers["link"] for where, answer in answers.items()} == {
        ("/api/v1/config/apply", "post"): '</api/v1/drift/redeployment>; rel="successor-version"',
        ("/api/v1/security/banned-ips", "get"): '</api/v1/bans>; rel="successor-version"',
        ("/api/v1/security/banned-ips/{ip}", "delete"): '</api/v1/bans>; rel="successor-version"',
    }
    assert {(answer.status_code, answer.headers["deprecation"]) for answer in answers.values()} == {
        (200, "@1795996800")
    }
    assert "deprecation" not in (await ada_api.get("/api/v1/bans")).headers


async def test_an_apply_that_fails_says_why(ada_api: httpx2.AsyncClient, engines: FakeEngines) -> None:
    engines.running = None
    engines.fail("reload")

    answer = await ada_api.post(APPLY)

    assert answer.status_code == 502
    assert answer.json()["detail"].startswith("It broke at reload.")


async def test_engines_that_do_not_answer_are_said_so(ada_api: httpx2.AsyncClient, engines: FakeEngines) -> None:
    engines.is_up = False
    status = (await ada_api.get(STATUS)).json()

    assert status["state"] == "down"
    assert status["latest_reload"]["config_checksum"] == status["generated_config"]["checksum"]
