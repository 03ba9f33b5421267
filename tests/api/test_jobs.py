"""`Prefer: respond-async`: the response does not wait, and a job tells what became of the request."""

import asyncio
from typing import Any

import httpx2
import pytest
from sqlmodel import update

from guardpanel.api import configuration
from guardpanel.errors import EngineUnavailable, Invalid
from guardpanel.models import IdempotencyKey
from guardpanel.panel import Panel
from guardpanel.services import jobs
from guardpanel.services.saving import once
from guardpanel.services.saving.once import Once
from guardpanel.services.site_file import plans
from tests.factories import a_vhost
from tests.fakes import FakeEngines
from tests.faults import Faults

pytestmark = pytest.mark.anyio

APPLY, UNDO = "/api/v1/configuration/apply", "/api/v1/changes/2/undo"
SITE = "format: 1\npolicies:\n  - name: From a file\n"
Client = httpx2.AsyncClient


async def begun(client: Client, path: str = APPLY, site: str = SITE, key: str = "") -> httpx2.Response:
    headers = {"prefer": "wait=5, Respond-Async", "content-type": "application/yaml"}
    return await client.post(path, content=site, headers={**headers, "idempotency-key": key} if key else headers)


async def ended(client: Client, answer: httpx2.Response) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "respond-async"), answer.text
    while True:
        job = await client.get(answer.headers["location"])
        if job.json()["state"] != "running":
            assert "retry-after" not in job.headers
            return dict(job.json())
        assert job.headers["retry-after"] == "1"
        await asyncio.sleep(0.005)


async def forgets(panel: Panel) -> None:
    """As if the panel was killed before the jobs ended, and started again."""
    async with panel.database.write() as session:
        await session.exec(update(IdempotencyKey).values(status=None, body=None))
    panel.changes.once = Once(panel.database)


async def test_a_job_has_what_the_request_would_have_got(ada_api: Client) -> None:
    job = await ended(ada_api, await begun(ada_api))
    again = await ada_api.post(APPLY, content=SITE, headers={"content-type": "application/yaml"})

    assert (job["state"], job["status"], job["request"]) == ("succeeded", 200, f"POST {APPLY}")
    assert [change["summary"] for change in job["result"]["changes"]] == ["Added policy From a file"]
    assert (await ada_api.get(f"/api/v1/changes/{job['change_id']}")).json()["outcome"] == "live"
    assert (again.status_code, again.json()["changes"]) == (200, [])


async def test_entries_of_lists_and_downloads_are_jobs_too(ada_api: Client) -> None:
    made = (await ada_api.post("/api/v1/address-lists", json={"name": "Office", "kind": "allow"})).json()
    entries = f"/api/v1/address-lists/{made['id']}/entries"
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("PUT", entries, {"content": "192.0.2.7\n198.51.100.0/24", "headers": {"content-type": "text/plain"}}),
        ("POST", entries, {"json": {"entries": ["192.0.2.8"]}}),
        ("POST", f"/api/v1/address-lists/{made['id']}/feed/download", {}),
        ("POST", "/api/v1/client-cas/7/revocation-lists/download", {}),
        ("POST", "/api/v1/geo-data/country/download", {}),
    ]
    outcomes = []
    for method, path, more in requests:
        headers = {"prefer": "respond-async", **more.pop("headers", {})}
        job = await ended(ada_api, await ada_api.request(method, path, headers=headers, **more))
        assert job["request"] == f"{method} {path}"
        outcomes.append((job["state"], job["status"], (job["result"] or {}).get("entry_count")))

    assert outcomes[:2] == [("succeeded", 200, 2), ("succeeded", 200, 3)]
    assert {(state, status // 100) for state, status, _ in outcomes[2:]} == {("failed", 4)}


async def test_jobs_without_a_key_push_no_key_out(ada_api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once, "MOST", 2)
    headers = {"idempotency-key": "one"}
    made = await ada_api.post("/api/v1/bans", json={"network": "192.0.2.7"}, headers=headers)
    started = [await begun(ada_api, "/api/v1/configuration/plan")]
    for _ in range(3):  # One after the other: what is in progress is never forgotten.
        await ended(ada_api, started[-1])
        started.append(await begun(ada_api, "/api/v1/configuration/plan"))
    await ended(ada_api, started[-1])
    again = await ada_api.post("/api/v1/bans", json={"network": "192.0.2.7"}, headers=headers)

    assert (again.headers.get("idempotency-replayed"), again.json()) == ("true", made.json())
    assert (await ada_api.get(started[0].headers["location"])).status_code == 404


async def test_a_job_that_fails_has_the_problem_and_is_its_authors(ada_api: Client, vera_api: Client) -> None:
    started = await begun(ada_api, site="format: 1\npolicies:\n  - name: X\n    fail_mode: maybe\n")
    job = await ended(ada_api, started)
    hers = await ended(vera_api, await begun(vera_api))

    assert (job["state"], job["status"], job["result"]) == ("failed", 422, None)
    assert (job["problem"]["code"], job["problem"]["instance"]) == ("invalid", APPLY)
    assert (hers["state"], hers["status"]) == ("failed", 403)
    assert (await vera_api.get(started.headers["location"])).status_code == 404


async def test_a_repeated_job_is_carried_out_once_unless_it_failed(ada_api: Client, engines: FakeEngines) -> None:
    await ada_api.post("/api/v1/vhosts", json=a_vhost())
    engines.fail("reload")
    failed = await ended(ada_api, await begun(ada_api, UNDO, "", "one"))
    engines.fail(None)
    both = await asyncio.gather(*(begun(ada_api, UNDO, "", "one") for _ in range(2)))
    job = await ended(ada_api, both[0])
    replayed = await begun(ada_api, UNDO, "", "one")

    assert (failed["state"], failed["status"], job["state"]) == ("failed", 502, "succeeded")
    assert (
        {answer.headers["location"] for answer in both}
        == {f"/api/v1/jobs/{job['id']}"}
        == {f"/api/v1/jobs/{failed['id']}"}
    )
    assert (replayed.status_code, replayed.headers["idempotency-replayed"]) == (200, "true")
    assert replayed.json() == job["result"]
    assert failed["created_at"] < job["created_at"]


async def test_a_job_that_fails_when_its_change_is_live_is_not_carried_out_again(
    ada_api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(_steps: object) -> None:
        raise EngineUnavailable("The WAF agent is not responding.")

    monkeypatch.setattr(configuration, "_rows_out", silent)
    started = await begun(ada_api, key="one")
    job = await ended(ada_api, started)
    again = await begun(ada_api, key="one")

    assert (job["state"], job["change_id"], job["problem"]) == ("lost", 2, None)
    assert (again.status_code, again.json()["code"]) == (409, "answer_lost")


async def test_what_a_kill_left_is_told_truly(ada_api: Client, panel: Panel) -> None:
    live, planned = await begun(ada_api), await begun(ada_api, "/api/v1/configuration/plan")
    for answer in (live, planned):
        await ended(ada_api, answer)
    await forgets(panel)

    carried_out, interrupted = await ended(ada_api, live), await ended(ada_api, planned)

    assert (carried_out["state"], carried_out["change_id"], carried_out["problem"]) == ("lost", 2, None)
    assert (interrupted["state"], interrupted["problem"]["code"]) == ("failed", "interrupted")


async def test_a_job_ends_with_the_panel(ada_api: Client, panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    async def stays(_body: bytes) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(plans, "document_in", stays)
    started = await begun(ada_api)
    running = (await ada_api.get(started.headers["location"])).json()

    await panel.jobs.close()
    panel.changes.once = Once(panel.database)

    assert (running["state"], running["status"]) == ("running", None)
    assert (await ended(ada_api, started))["problem"]["code"] == "interrupted"


async def test_a_large_result_is_there_until_newer_ones_are(ada_api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once, "LARGEST", 10)
    monkeypatch.setattr(once, "MOST_LARGE", 1)
    first = await begun(ada_api)
    kept = await ended(ada_api, first)
    await ended(ada_api, await begun(ada_api, "/api/v1/configuration/plan"))

    rejected = await begun(ada_api, site="format: 2")
    await ended(ada_api, rejected)
    await ended(ada_api, await begun(ada_api, "/api/v1/configuration/plan"))

    assert kept["state"] == "succeeded"
    assert (await ended(ada_api, first))["state"] == "lost"
    failed = await ended(ada_api, rejected)
    assert (failed["state"], failed["status"], failed["problem"]["code"]) == ("failed", 422, "answer_lost")


async def test_a_fault_of_ours_is_a_problem_of_the_job(
    ada_api: Client, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_body: bytes) -> None:
        raise RuntimeError("the inside")

    faults.expect()
    monkeypatch.setattr(plans, "document_in", broken)
    job = await ended(ada_api, await begun(ada_api))

    assert (job["state"], job["status"], job["problem"]["code"]) == ("failed", 500, "internal_error")
    assert "inside" not in job["problem"]["detail"]


async def test_requests_that_come_at_once_do_not_become_more_jobs_than_may_run(
    ada_api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end = asyncio.Event()

    async def waits(_body: bytes) -> None:
        await may_end.wait()
        raise Invalid("Enough.")

    monkeypatch.setattr(jobs, "MOST", 1)
    monkeypatch.setattr(plans, "document_in", waits)
    requests = [asyncio.create_task(begun(ada_api)) for _ in range(3)]
    await asyncio.wait(requests, return_when=asyncio.FIRST_COMPLETED)
    may_end.set()

    assert sorted([(await request).status_code for request in requests]) == [202, 422, 422]


async def test_a_preference_is_not_always_met(ada_api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    brief = await ada_api.post("/api/v1/vhosts", json=a_vhost(), headers={"prefer": "respond-async"})
    monkeypatch.setattr(jobs, "MOST", 0)
    full = await begun(ada_api)

    assert (brief.status_code, full.status_code, len(full.json()["changes"])) == (201, 200, 1)
