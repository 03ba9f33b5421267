"""What a restore does with a machine, and what it leaves when it fails. The engines are fakes."""

import asyncio

import pytest

from guardpanel.errors import (
    Busy,
    ConfigRejected,
    RolledBack,
)
from guardpanel.lock import only_one
from guardpanel.models import User
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.models.revision import Outcome
from guardpanel.panel import Panel
from guardpanel.services import policies, virtual_hosts
from guardpanel.services.backups import restores
from guardpanel.services.saving import revisions
from guardpanel.services.saving.changes import SaveRequest
from tests.conftest import ADA
from tests.fakes import FakeEngines
from tests.faults import Faults
from tests.services.backups.test_backups import (
    WORDS,
    Killed,
    a_host,
    all_deployments,
    backup,
    fill,
    restored,
    tables,
    taken,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("cheap")]


@pytest.mark.parametrize("passphrase", ["", WORDS])
async def test_a_new_machine_becomes_what_was_backed_up(panel: Panel, other: Panel, passphrase: str) -> None:
    await fill(panel)
    data, there = await backup(panel, passphrase), tables(panel)
    candidate = await taken(other, data, passphrase)

    saved = await restores.restore(other.changes, SaveRequest("eve@example.org"), candidate)

    here, first = tables(other), len(there["revision"])
    for table in ("policy", "virtualhost", "hostname", "server", "user", "installation"):
        assert here[table] == there[table], table
    assert here["revision"][:first] == there["revision"]
    assert here["deployment"][: len(there["deployment"])] == there["deployment"]
    assert [row[4] for row in here["revision"][first:]] == ["First configuration", candidate.summary]
    assert saved.is_new and saved.revision == first + 2
    assert (await other.engines.status()).haproxy.checksum == here["revision"][-1][1]


async def test_a_machine_with_a_history_keeps_it(panel: Panel, other: Panel) -> None:
    await fill(panel)
    await policies.create(other.changes, SaveRequest("bob@example.org"), PolicyFields(name="Bob’s"))
    before = tables(other)

    candidate = await restored(other, await backup(panel))

    here, there = tables(other), tables(panel)
    assert here["revision"][:-1] == before["revision"]
    assert here["deployment"][:-1] == before["deployment"]
    assert here["user"] == there["user"]
    assert [row[0] for row in here["hostname"]] == [row[0] for row in there["hostname"]]
    async with other.database.read() as session:
        last = await revisions.last_deployment(session)
        names = [policy.name for policy in await policies.all_of_them(session)]
    assert last is not None
    assert (last.summary, last.author, last.outcome) == (candidate.summary, "eve@example.org", Outcome.LIVE)
    assert sorted(names) == ["Default", "Strict"]


async def test_a_form_that_was_opened_before_a_restore_is_stale(panel: Panel) -> None:
    data = await backup(panel)
    await policies.update(panel.changes, SaveRequest(ADA), 1, PolicyFields(name="Other"), 1)

    await restored(panel, data)

    async with panel.database.read() as session:
        policy = await policies.find(session, 1)
    assert policy.name == "Default"
    assert policy.version > 2


async def test_the_secret_of_the_backup_is_used_from_then_on(panel: Panel, other: Panel) -> None:
    theirs, before = panel.changes.renderer.facts.secret, other.changes.renderer.facts.secret

    await restored(other, await backup(panel))

    assert before != theirs
    assert other.changes.renderer.facts.secret == other.engines.verifier.secret == theirs
    assert isinstance(other.engines, FakeEngines) and other.engines.running
    assert any(theirs.encode() in content for content in other.engines.running.files.values())


async def test_backups_contain_no_sessions_and_a_restore_endsall_deployments(panel: Panel, other: Panel) -> None:
    user = await panel.accounts.log_in(ADA, "correct horse battery staple", "::1")
    secret = await panel.accounts.sessions.open(user, "::1")
    await panel.accounts.tokens.first(user, "::1")
    data = await backup(panel)

    await restored(other, data)
    await restored(panel, data)

    for each in (panel, other):
        assert tables(each)["session"] == tables(each)["accesstoken"] == []
        async with each.database.read() as session:
            assert await each.accounts.sessions.find(session, secret) is None


async def test_a_restore_that_an_engine_refuses_changes_nothing(panel: Panel, other: Panel) -> None:
    assert isinstance(other.engines, FakeEngines)
    await fill(panel)
    before, secret = tables(other), other.changes.renderer.facts.secret
    other.engines.reject("name", "no", noun="policy", noun_id=1)

    with pytest.raises(ConfigRejected):
        await restored(other, await backup(panel))

    here = tables(other)
    assert here.pop("deployment")[:-1] == before.pop("deployment")
    assert here == before
    assert other.changes.renderer.facts.secret == secret


async def test_a_restore_that_cannot_be_proved_puts_accounts_secret_and_log_ins_back(
    panel: Panel, other: Panel
) -> None:
    assert isinstance(other.engines, FakeEngines)
    await fill(panel)
    async with other.database.write() as session:
        session.add(User(id=7, email="bob@example.org", password_hash="x"))
    bob = User(id=7, email="bob@example.org", password_hash="x")
    login = await other.accounts.sessions.open(bob, "::1")
    before, secret = tables(other), other.changes.renderer.facts.secret
    other.engines.fail("verify")

    with pytest.raises(RolledBack):
        await restored(other, await backup(panel))

    here = tables(other)
    for table in ("policy", "virtualhost", "hostname", "server", "user", "session", "installation"):
        assert here[table] == before[table], table
    assert other.changes.renderer.facts.secret == other.engines.verifier.secret == secret
    async with other.database.read() as session:
        assert await other.accounts.sessions.find(session, login) is not None
        live = await revisions.live(session)
    assert live is not None and live.summary == "First configuration"
    assert other.engines.running is not None and other.engines.running.checksum == live.checksum

    other.engines.fail(None)
    await restored(other, await backup(panel))
    assert tables(other)["user"] == tables(panel)["user"]


async def test_a_restore_that_was_cut_off_is_undone_at_the_next_start(
    panel: Panel, other: Panel, faults: Faults
) -> None:
    """Killed after the commit, before HAProxy took it."""
    faults.expect()
    assert isinstance(other.engines, FakeEngines)
    await fill(panel)
    before, secret = tables(other), other.changes.renderer.facts.secret
    candidate = await taken(other, await backup(panel))

    async def killed(*_: object, **__: object) -> None:
        raise Killed

    real = other.engines.deploy
    other.engines.deploy = killed  # type: ignore[method-assign]
    with pytest.raises(Killed):
        await restores.restore(other.changes, SaveRequest("eve@example.org"), candidate)
    other.engines.deploy = real  # type: ignore[method-assign]
    assert tables(other)["user"] != before["user"]

    await other.changes.settle()

    for table in ("policy", "virtualhost", "hostname", "server", "user", "installation"):
        assert tables(other)[table] == before[table], table
    assert other.changes.renderer.facts.secret == other.engines.verifier.secret == secret


async def test_a_restore_while_another_process_saves_is_refused(panel: Panel) -> None:
    candidate, before = await taken(panel, await backup(panel)), tables(panel)

    with only_one(panel.settings.save_lock), pytest.raises(Busy, match="Another guardpanel process"):
        await restores.restore(panel.changes, SaveRequest(ADA), candidate)

    assert tables(panel) == before


async def test_a_restore_waits_for_a_save_of_this_process(panel: Panel) -> None:
    data = await backup(panel)

    adding = [
        virtual_hosts.create(panel.changes, SaveRequest(ADA), a_host(f"h{number}.example")) for number in range(4)
    ]
    _, candidate = await asyncio.gather(asyncio.gather(*adding), restored(panel, data))

    async with panel.database.read() as session:
        made = [item.summary for item in (await revisions.page(session)).items]
    assert candidate.summary in made
    assert all(deployment.outcome is Outcome.LIVE for deployment in (await all_deployments(panel)))
