"""What goes with time, and what never does."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlmodel import col, select, update

from guardpanel import clock
from guardpanel.app import create_app
from guardpanel.errors import Problem
from guardpanel.models import Ban, Deployment, Revision
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.models.revision import Outcome
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.panel import Panel
from guardpanel.services import policies, retention, virtual_hosts
from guardpanel.services.history import history
from guardpanel.services.saving import revisions
from guardpanel.services.saving.changes import SaveRequest
from guardpanel.settings import Settings
from tests.conftest import running
from tests.fakes import FAKES, FakeEngines

pytestmark = pytest.mark.anyio

ADA = SaveRequest("ada@example.org")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"keep_releases": 3, "keep_revisions": 4})


@pytest.fixture(autouse=True)
def passes_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The panel's own pass after saves would come beside the test's, where that takes longer than usual."""
    monkeypatch.setattr(retention, "AFTER_A_SAVE", 3600.0)


async def save(panel: Panel, name: str) -> int:
    """A save that both engines notice: a virtual host more."""
    fields = {"hostnames": [f"{name}.example"], "servers": [{"address": "127.0.0.1:80"}], "policy_id": 1}
    saved = await virtual_hosts.create(panel.changes, ADA, VirtualHostFields.model_validate(fields))
    assert saved.is_new
    return saved.change_id


async def saves(panel: Panel, count: int) -> None:
    for number in range(count):
        await save(panel, f"host-{number}")


async def changes(panel: Panel) -> list[int]:
    async with panel.database.read() as session:
        return [
            number or 0 for number in (await session.exec(select(Deployment.id).order_by(col(Deployment.id)))).all()
        ]


async def numbers(panel: Panel) -> list[int]:
    async with panel.database.read() as session:
        return [number or 0 for number in (await session.exec(select(Revision.id).order_by(col(Revision.id)))).all()]


async def age(panel: Panel, days: int) -> None:
    async with panel.database.write() as session:
        await session.exec(update(Deployment).values(started_at=datetime.now(UTC) - timedelta(days=days)))


def on_disk(panel: Panel) -> list[int]:
    return panel.engines.releases.numbers()


async def test_the_newest_changes_and_releases_are_kept(panel: Panel) -> None:
    await saves(panel, 9)

    await panel.retention.tidy()

    assert await changes(panel) == [7, 8, 9, 10]
    assert await numbers(panel) == [7, 8, 9, 10]
    assert on_disk(panel) == [8, 9, 10]
    assert not list(panel.engines.releases.root.glob(".*"))


async def test_a_clock_that_jumps_ahead_drops_no_change(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    wall = [datetime.now(UTC).timestamp()]
    monkeypatch.setattr(clock, "AGES", clock.SteadyClock(lambda: wall[0], lambda: 50.0))
    await saves(panel, 2)
    before = await changes(panel)
    wall[0] += 500 * 86_400.0

    await panel.retention.tidy()

    assert await changes(panel) == before


async def test_changes_that_are_too_old_go_but_not_the_live_one_nor_the_good_one_before(panel: Panel) -> None:
    await saves(panel, 3)
    await age(panel, 401)

    await panel.retention.tidy()

    assert await changes(panel) == [3, 4]
    async with panel.database.read() as session:
        live, last = await revisions.live(session), await history.newest(session)
    assert live is not None and live.id == 4
    assert last is not None
    assert (await history.undo(panel.changes, ADA, last)).is_new


async def test_bans_that_ended_long_ago_go_in_steps_and_none_that_is_in_effect(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BANS_STEP", 1)
    now = datetime.now(UTC)
    old, recent = now - timedelta(days=401), now - timedelta(days=399)
    bans = {
        "ended": Ban(network="192.0.2.1", ends_at=old),
        "lifted": Ban(network="192.0.2.2", lifted_at=old),
        "lifted before its end": Ban(network="192.0.2.3", ends_at=recent, lifted_at=old),
        "recently ended": Ban(network="192.0.2.4", ends_at=recent),
        "recently lifted": Ban(network="192.0.2.5", lifted_at=recent),
        "for ever": Ban(network="192.0.2.6", created_at=old),
        "until later": Ban(network="192.0.2.7", created_at=old, ends_at=now + timedelta(days=1)),
    }
    async with panel.database.write() as session:
        session.add_all(bans.values())

    await panel.retention.tidy()

    async with panel.database.read() as session:
        left = (await session.exec(select(Ban.network).order_by(col(Ban.network)))).all()
    assert left == [f"192.0.2.{last}" for last in (4, 5, 6, 7)]


async def test_a_revision_before_many_saves_that_changed_nothing_for_the_engines_is_kept(panel: Panel) -> None:
    first = await save(panel, "one")
    for number in range(8):
        await policies.update(panel.changes, ADA, 1, PolicyFields(name="Default", description=f"Words {number}"))

    await panel.retention.tidy()

    kept = await changes(panel)
    assert kept[0] == first - 1, "the last one with another configuration"
    assert len(kept) == 5
    assert await numbers(panel) == [1, 2]


async def test_refused_changes_push_no_others_out(panel: Panel, engines: FakeEngines) -> None:
    await saves(panel, 2)
    engines.reject("name", "no", noun="policy", noun_id=1)
    for number in range(9):
        with pytest.raises(Problem):
            await save(panel, f"refused-{number}")

    await panel.retention.tidy()

    assert await changes(panel) == [1, 2, 3, 9, 10, 11, 12]


async def test_a_change_that_is_not_over_keeps_what_it_needs(panel: Panel) -> None:
    await save(panel, "under-way")
    async with panel.database.write() as session:
        await session.exec(update(Deployment).where(col(Deployment.id) == 2).values(outcome=Outcome.DEPLOYING))
    await saves(panel, 7)
    await age(panel, 4000)

    await panel.retention.tidy()

    assert await changes(panel) == [2, 8, 9]
    assert 2 in on_disk(panel)


async def test_a_release_that_an_old_worker_runs_is_kept(panel: Panel, engines: FakeEngines) -> None:
    async with panel.database.read() as session:
        first = await revisions.live(session)
    assert first is not None
    engines.old_workers = {first.checksum}
    await saves(panel, 3)

    await panel.retention.tidy()
    assert on_disk(panel) == [1, 2, 3, 4]

    engines.old_workers = set()
    await panel.retention.tidy()
    assert on_disk(panel) == [2, 3, 4]


async def test_releases_of_policies_that_requests_in_progress_use_are_kept(panel: Panel, engines: FakeEngines) -> None:
    """They have the live release's checksum."""
    await save(panel, "shop")
    for threshold in range(50, 55):
        fields = PolicyFields.model_validate({**policies.DEFAULT.model_dump(), "inbound_anomaly_threshold": threshold})
        await policies.update(panel.changes, ADA, 1, fields)
    async with panel.database.read() as session:
        live = await revisions.live(session)
    assert live is not None
    engines.old_workers = {live.checksum}

    await panel.retention.tidy()
    assert on_disk(panel) == [4, 5, 6, 7]

    engines.old_workers = set()
    await panel.retention.tidy()
    assert on_disk(panel) == [5, 6, 7]


async def test_releases_that_no_revision_knows_go_but_not_one_of_a_save_under_way(panel: Panel) -> None:
    await saves(panel, 2)
    async with panel.database.write() as session:
        await session.exec(update(Deployment).where(col(Deployment.id) == 2).values(revision_id=None))
    for number in (5, 9):
        (panel.engines.releases.root / str(number)).mkdir()

    await panel.retention.tidy()

    assert on_disk(panel) == [1, 3, 5, 9]
    assert await numbers(panel) == [1, 3]


async def test_a_change_without_stored_rows_is_marked(panel: Panel) -> None:
    change = await save(panel, "one")
    async with panel.database.write() as session:
        await session.exec(update(Deployment).where(col(Deployment.id) == change).values(revision_id=None))

    async with panel.database.read() as session:
        deployment = await revisions.find(session, change)
        assert await history.after(session, deployment) is None


async def test_it_runs_at_start_and_after_saves(
    settings: Settings, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "AFTER_A_SAVE", 0.1)
    left = [settings.releases_dir / name for name in (".tmp-7-1", ".gone-3-1")]
    for path in left:
        path.mkdir(parents=True)
        (path / "haproxy.cfg").touch()
    (settings.data_dir / ".current-1").symlink_to("releases/1")

    async with running(create_app(settings, parts=FAKES)) as app:
        panel: Panel = app.state.panel
        await until(lambda: not any(path.exists() for path in left))
        await saves(panel, 6)
        await until(lambda: on_disk(panel) == [5, 6, 7])

    assert not (settings.data_dir / ".current-1").is_symlink()
    assert (settings.data_dir / "current").exists()


async def test_a_pass_that_is_cut_off_leaves_nothing_half(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    await saves(panel, 9)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("guardpanel.engines.releases.shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            panel.engines.releases.drop(1)

    assert 1 not in on_disk(panel), "out of sight as a whole"
    panel.engines.releases.sweep()
    await panel.retention.tidy()
    assert on_disk(panel) == [8, 9, 10]
    assert not list(panel.engines.releases.root.glob(".*"))


async def test_a_concurrently_deleted_release_counts_as_deleted(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    await saves(panel, 2)
    monkeypatch.setattr(Path, "exists", lambda _: True)  # a moment ago

    panel.engines.releases.drop(77)

    assert on_disk(panel) == [1, 2, 3]


async def test_saves_go_on_during_a_pass(app: FastAPI, panel: Panel) -> None:
    await saves(panel, 12)

    _, *made = await asyncio.gather(panel.retention.tidy(), *(save(panel, f"meanwhile-{n}") for n in range(5)))
    await panel.retention.tidy()

    assert (await changes(panel))[-1] == max(number or 0 for number in made)
    assert len(await changes(panel)) == 4
    assert len(on_disk(panel)) == 3


async def until(true: object) -> None:
    async with asyncio.timeout(60):
        while not true():  # type: ignore[operator]
            await asyncio.sleep(0.02)
