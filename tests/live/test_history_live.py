"""Undo and restore with the real engines: what answers afterwards is what answered then."""

import json
from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest

from guardpanel.errors import ConfigRejected, DeploymentFailed, RolledBack
from guardpanel.models import Deployment, Revision
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.models.revision import Outcome
from guardpanel.services import policies, virtual_hosts
from guardpanel.services.history import comparisons, history
from guardpanel.services.saving import revisions, snapshots
from guardpanel.services.saving.change import SaveRequest
from tests.live.saves import Installation, a_virtual_host, installation_of
from tests.panel import origin_server

pytestmark = [pytest.mark.anyio, pytest.mark.one_haproxy]

ADA = SaveRequest("ada")
ATTACK = "/?id=1%27%20OR%20%271%27=%271"


@pytest.fixture(scope="module")
def origin() -> Iterator[int]:
    with origin_server() as port:
        yield port


@pytest.fixture
async def running(haproxy: str) -> AsyncIterator[Installation]:
    async with installation_of(haproxy) as installation:
        yield installation


async def answer(running: Installation, host: str = "shop.example", path: str = "/") -> int:
    async with httpx2.AsyncClient() as client:
        return (await client.get(running.proxy + path, headers={"host": host})).status_code


def current(running: Installation) -> dict[str, bytes]:
    """The files that are published."""
    root = (running.settings.data_dir / "current").resolve()
    files = [path for path in root.rglob("*") if path.is_file() and path.name != "manifest.json"]
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


async def last(running: Installation) -> Deployment:
    async with running.changes.database.read() as session:
        deployment = await revisions.last_deployment(session)
        assert deployment is not None
        return await revisions.find(session, deployment.id or 0)


async def test_undo_and_redo_are_live_at_once(running: Installation, origin: int) -> None:
    made = await virtual_hosts.create(running.changes, ADA, a_virtual_host(origin))
    full = current(running)

    undone = await history.undo(running.changes, ADA, made.change_id)
    assert await answer(running) == 421

    redone = await history.undo(running.changes, ADA, undone.change_id)
    assert await answer(running) == 200
    assert current(running) == full
    assert (await running.engines.status()).haproxy.checksum == (await last_checksum(running, redone.revision))


async def test_a_policy_that_blocks_is_undone(running: Installation, origin: int) -> None:
    await virtual_hosts.create(running.changes, ADA, a_virtual_host(origin))
    block = PolicyFields.model_validate({**policies.DEFAULT.model_dump(), "enforcement_mode": "block"})
    blocking = await policies.update(running.changes, ADA, 1, block)
    assert await answer(running, path=ATTACK) == 403

    await history.undo(running.changes, ADA, blocking.change_id)

    assert await answer(running, path=ATTACK) == 200


async def test_a_restore_of_everything_and_of_one_thing(running: Installation, origin: int) -> None:
    shop = await virtual_hosts.create(running.changes, ADA, a_virtual_host(origin))
    then = current(running)
    blog = await virtual_hosts.create(running.changes, ADA, a_virtual_host(origin, hostnames=["blog.example"]))
    await virtual_hosts.delete(running.changes, ADA, shop.value.id or 0)
    assert (await answer(running), await answer(running, "blog.example")) == (421, 200)

    await history.restore(running.changes, ADA, blog.change_id, ("virtual_host", shop.value.id or 0))
    assert (await answer(running), await answer(running, "blog.example")) == (200, 200)

    everything = await history.restore(running.changes, ADA, shop.change_id)
    assert (await answer(running), await answer(running, "blog.example")) == (200, 421)
    assert current(running) == then
    assert (await last(running)).summary == f"Restored revision {shop.revision}"
    assert everything.revision == blog.revision + 3


async def test_a_restore_that_haproxy_refuses_keeps_its_words_and_what_runs(running: Installation, origin: int) -> None:
    """A name that had an address then has none now."""
    named = [{"address": "nowhere.invalid:80", "resolve_later": True}]
    host = await virtual_hosts.create(running.changes, ADA, a_virtual_host(origin, servers=named))
    fixed = await virtual_hosts.update(running.changes, ADA, host.value.id or 0, a_virtual_host(origin))
    async with running.changes.database.write() as session:
        # As if it had been saved while the name had an address.
        revision = await session.get(Revision, host.revision)
        assert revision is not None
        rows = snapshots.rows(snapshots.unpacked(revision.snapshot))
        assert rows["server"][0]["resolve_later"] == 1
        revision.snapshot = snapshots.packed(unresolved(snapshots.unpacked(revision.snapshot)))
        session.add(revision)
    before = current(running)

    with pytest.raises(ConfigRejected) as refused:
        await history.restore(running.changes, ADA, host.change_id, ("virtual_host", host.value.id or 0))

    assert "nowhere.invalid does not resolve" in refused.value.errors["servers.0.address"].message
    assert (current(running), await answer(running)) == (before, 200)
    attempt = await last(running)
    assert (attempt.outcome, attempt.revision_id) == (Outcome.REJECTED, None)
    assert "nowhere.invalid" in attempt.output
    async with running.changes.database.read() as session:
        wanted, live = await history.after(session, attempt), await history.at_revision(session, fixed.revision)
    assert wanted is not None
    compared = await comparisons.compare(running.changes, live, wanted)
    assert [(noun.name, noun.kind) for noun in compared.nouns] == [("shop.example", "changed")]
    assert any("nowhere.invalid" in line.new for file in compared.haproxy.files for hunk in file.hunks for line in hunk)


def unresolved(snapshot: str) -> str:
    """The same rows with `resolve later` not ticked."""
    state = json.loads(snapshot)
    at = state["server"]["columns"].index("resolve_later")
    for row in state["server"]["rows"]:
        row[at] = 0
    return json.dumps(state)


async def test_an_undo_that_cannot_be_proved_live_leaves_all_as_it_was(
    running: Installation, origin: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await virtual_hosts.create(running.changes, ADA, a_virtual_host(origin))
    before, verifier = current(running), running.engines.verifier
    prove = verifier.prove

    async def not_the_undo(bundle: object, *others: object, **more: object) -> None:
        if getattr(bundle, "checksum", "") != checksum_before:
            raise DeploymentFailed("The probe saw something else.", step="verify", evidence="seen")
        await prove(bundle, *others, **more)  # type: ignore[arg-type]

    checksum_before = await last_checksum(running, made.revision)
    monkeypatch.setattr(verifier, "prove", not_the_undo)

    with pytest.raises(RolledBack):
        await history.undo(running.changes, ADA, made.change_id)
    monkeypatch.undo()

    assert (current(running), await answer(running)) == (before, 200)
    await history.undo(running.changes, ADA, made.change_id)
    assert await answer(running) == 421


async def last_checksum(running: Installation, revision: int) -> str:
    async with running.changes.database.read() as session:
        return (await history.at_revision(session, revision)).checksum or ""
