"""What is in a backup, and that nothing but a good one is restored. The engines are fakes: see tests/live for real ones."""

import asyncio
import io
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlmodel import col, select, update

from guardpanel.app import create_app
from guardpanel.certificates import contents
from guardpanel.errors import (
    Busy,
    ConfigRejected,
    Conflict,
    DeploymentFailed,
    EngineUnavailable,
    Invalid,
    NotFound,
    Problem,
    RolledBack,
)
from guardpanel.lock import only_one
from guardpanel.models import Deployment, Installation, User
from guardpanel.models.certificates.certificate import CertificateFields, Source
from guardpanel.models.certificates.client_ca import ClientCaFields
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.models.revision import Outcome
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.panel import Panel
from guardpanel.services import certificates, client_cas, policies, traffic, virtual_hosts
from guardpanel.services.backups import archives, keys, lists, restores, sealing
from guardpanel.services.backups.backups import Backups, Candidate
from guardpanel.services.backups.sealing import BackupDamaged, BackupTooNew, WrongPassphrase
from guardpanel.services.saving import revisions, snapshots
from guardpanel.services.saving.changes import SaveRequest
from guardpanel.settings import Settings
from tests.certificates.test_client_cas import lists as revocation_lists
from tests.certificates.test_client_cas import whole
from tests.conftest import ADA, VERA, running
from tests.fakes import FAKES, FakeEngines
from tests.faults import Faults
from tests.ports import free_port
from tests.schemas import downgrade

pytestmark = pytest.mark.anyio

EVERY = (
    "policy",
    "virtualhost",
    "hostname",
    "server",
    "certificate",
    "certificatecontent",
    "clientca",
    "revision",
    "deployment",
    "user",
    "session",
    "accesstoken",
    "installation",
)
WORDS = "correct horse battery"


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "COST", 2)
    monkeypatch.setattr(sealing, "LANES", 1)


@pytest.fixture
def other_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    import shutil
    import tempfile

    made = Path(tempfile.mkdtemp(prefix="gp"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
async def other(other_folder: Path) -> AsyncIterator[Panel]:
    """Another machine at its first start, without accounts."""
    settings = Settings(data_dir=other_folder, listen=f"127.0.0.1:{free_port()}", http_bind=f"127.0.0.1:{free_port()}")
    async with running(create_app(settings, parts=FAKES)) as app:
        yield app.state.panel


class Killed(BaseException):
    """Nothing of ours catches it, as nothing runs after a SIGKILL."""


def a_host(name: str, **others: object) -> VirtualHostFields:
    fields = {"hostnames": [name], "servers": [{"address": "127.0.0.1:80"}], "policy_id": 1, **others}
    return VirtualHostFields.model_validate(fields)


async def fill(panel: Panel) -> None:
    ada = SaveRequest(ADA)
    await policies.create(panel.changes, ada, PolicyFields(name="Strict", skip_paths=[".css"]))
    await virtual_hosts.create(panel.changes, ada, a_host("bücher.example", policy_id=2, notes="Grüße\n🦊"))
    await virtual_hosts.create(panel.changes, ada, a_host("*.shop.example"))


async def backup(panel: Panel, passphrase: str = "") -> bytes:
    out = io.BytesIO()
    await panel.backups.write(out, passphrase)
    return out.getvalue()


async def taken(panel: Panel, data: bytes, passphrase: str = "") -> Candidate:
    return await panel.backups.take(io.BytesIO(data), passphrase)


async def restored(panel: Panel, data: bytes) -> Candidate:
    candidate = await taken(panel, data)
    await restores.restore(panel.changes, SaveRequest("eve@example.org"), candidate)
    return candidate


def tables(place: Panel | Path) -> dict[str, list[tuple[Any, ...]]]:
    path = place if isinstance(place, Path) else place.settings.data_dir / "guardpanel.db"
    with closing(sqlite3.connect(path)) as database:
        return {table: sorted(database.execute(f"SELECT * FROM {table}"), key=lambda row: row[0]) for table in EVERY}


def changed(candidate: bytes, folder: Path, *statements: str, schema: str = "") -> bytes:
    """The same backup with something else in its database, or in an older schema, and a manifest that says so."""
    for path in folder.glob("*"):
        path.unlink()
    manifest, _ = archives.read(io.BytesIO(candidate), folder, "")
    with closing(sqlite3.connect(folder / archives.DATABASE, isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement)
    if schema:
        downgrade(folder / archives.DATABASE, schema)
    out = io.BytesIO()
    archives.write(out, folder, manifest.revision, manifest.checksum, "")
    return out.getvalue()


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


async def test_backups_contain_no_sessions_and_a_restore_ends_all(panel: Panel, other: Panel) -> None:
    user = await panel.accounts.log_in(ADA, "correct horse battery staple", "::1")
    secret = await panel.accounts.sessions.open(user, "::1")
    await panel.accounts.tokens.first(user, "::1")
    data = await backup(panel)

    await restored(other, data)
    await restored(panel, data)

    for one in (panel, other):
        assert tables(one)["session"] == tables(one)["accesstoken"] == []
        async with one.database.read() as session:
            assert await one.accounts.sessions.find(session, secret) is None


async def test_what_was_taken_out_of_a_backup_is_not_left_in_its_free_pages(panel: Panel, folder: Path) -> None:
    user = await panel.accounts.log_in(ADA, "correct horse battery staple", "::1")
    for _ in range(50):
        await panel.accounts.sessions.open(user, "2001:db8::5e55:1011")
    candidate = await taken(panel, await backup(panel))

    assert (
        b"2001:db8::5e55:1011" in (folder / "guardpanel.db").read_bytes() + (folder / "guardpanel.db-wal").read_bytes()
    )
    assert b"2001:db8::5e55:1011" not in candidate.database.read_bytes()


async def test_a_save_under_way_is_not_in_it(panel: Panel, other: Panel) -> None:
    """As it lies in the database between the commit and the proof."""
    await fill(panel)
    before = tables(panel)
    async with panel.database.read() as session:
        kept = await session.get(Deployment, before["deployment"][-2][0])
        assert kept is not None
    async with panel.database.read() as session:
        packed = snapshots.packed(await snapshots.take(session))
    await virtual_hosts.create(panel.changes, SaveRequest(ADA), a_host("later.example"))
    async with panel.database.write() as session:
        newest = len(tables(panel)["deployment"])
        await session.exec(
            update(Deployment).where(col(Deployment.id) == newest).values(outcome=Outcome.DEPLOYING, before=packed)
        )

    await restored(other, await backup(panel))

    here = tables(other)
    for table in ("policy", "virtualhost", "hostname", "server"):
        assert here[table] == before[table]
    async with other.database.read() as session:
        assert (await revisions.find(session, newest)).outcome is Outcome.ROLLED_BACK
        assert await revisions.open_deployments(session) == []


async def test_the_master_key_is_in_an_encrypted_backup_and_in_no_file_beside_it(
    panel: Panel, other: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = CertificateFields(name="intra", source=Source.SELF_SIGNED, names=["intra.example"])
    await certificates.create(panel.changes, SaveRequest(ADA), fields)
    looked_at: list[bytes] = []
    key, write = panel.changes.seal.key, archives.write

    def look(out: Any, folder: Path, *others: Any) -> Any:
        looked_at.extend(path.read_bytes() for path in folder.iterdir())
        return write(out, folder, *others)

    monkeypatch.setattr(archives, "write", look)
    data = await backup(panel, WORDS)
    candidate = await taken(other, data, WORDS)
    looked_at.extend(path.read_bytes() for path in candidate.folder.iterdir())
    await restores.restore(other.changes, SaveRequest(ADA), candidate)

    assert len(looked_at) >= 3
    assert not any(secret in text for text in looked_at for secret in (key, key.hex().encode()))
    async with other.database.read() as session:
        assert [bool(content.pem) for content in await contents.current_contents(session, other.changes.seal)] == [True]


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
        made = [one.summary for one in (await revisions.page(session)).items]
    assert candidate.summary in made
    assert all(one.outcome is Outcome.LIVE for one in (await _all(panel)))


async def _all(panel: Panel) -> list[Deployment]:
    async with panel.database.read() as session:
        return list((await session.exec(select(Deployment))).all())


ROWS_THAT_ARE_REFUSED = [
    ("UPDATE policy SET name = 'x\n    http-request allow' WHERE id = 1", "data in this backup, policy 1: name"),
    (
        "UPDATE policy SET blocking_paranoia_level = 9, detection_paranoia_level = 9 WHERE id = 1",
        "data in this backup, policy 1",
    ),
    (
        "UPDATE hostname SET name = 'a b' WHERE virtual_host_id = 1",
        "data in this backup, virtual host 1: hostnames",
    ),
    ("UPDATE server SET address = 'x y'", "data in this backup, virtual host 1: servers.0.address"),
    ("UPDATE virtualhost SET health_check_path = '/ x'", "data in this backup, virtual host 1: health_check_path"),
    ("UPDATE virtualhost SET tls_ca = '/etc/passwd'", "data in this backup, virtual host 1: tls_ca"),
    ("UPDATE user SET email = 'nobody' WHERE id = 1", "data in this backup, account 1"),
    ("UPDATE installation SET value = 'x\"y' WHERE name = 'probe_secret'", "secret"),
    ("UPDATE user SET created_at = 'once' WHERE id = 1", "The data in this backup is not valid"),
    ("CREATE TRIGGER t AFTER INSERT ON user BEGIN DELETE FROM user; END", "damaged"),
    ("DROP TABLE server", "The data in this backup is not valid"),
    ("DELETE FROM policy", "damaged"),
    ("DELETE FROM alembic_version", "damaged"),
]


async def test_rows_that_no_form_would_have_taken_are_refused(panel: Panel, tmp_path: Path) -> None:
    await fill(panel)
    made, before = await backup(panel), tables(panel)

    for number, (statement, words) in enumerate(ROWS_THAT_ARE_REFUSED):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(Invalid, match=words):
            await taken(panel, changed(made, folder, statement))

        assert tables(panel) == before, statement
        assert list(panel.settings.restore_dir.glob("*")) == [], statement


FORMER = (
    """UPDATE policy SET skip_paths = '[".css", "/a/./b"]', masked_fields = '["authorization:", "[]", "pin"]',
    allowed_content_types = '["application/json", "text/a!b*"]' WHERE name = 'Strict'""",
    """UPDATE traffic SET trusted_networks = '["10.0.0.0/8", "::/7", "224.0.0.0/8"]',
    client_ip_source = 'x_forwarded_for'""",
)
"Values that earlier versions took."


async def test_a_backup_with_values_that_are_refused_by_now_is_restored_without_them(
    panel: Panel, other: Panel, other_folder: Path, tmp_path: Path
) -> None:
    await fill(panel)
    candidate = await restored(other, changed(await backup(panel), tmp_path, *FORMER, schema="0012"))

    async with other.database.read() as session:
        strict = await policies.ROWS.find(session, 2)
        settings = await traffic.find(session)
    assert (strict.skip_paths, strict.masked_fields) == ([".css"], ["authorization", "pin"])
    assert strict.allowed_content_types == ["application/json"]
    assert settings.trusted_networks == ["10.0.0.0/8"]
    assert candidate.summary.endswith(
        ", without values that are no longer accepted (Traffic settings: trusted proxies ::/7; "
        "Traffic settings: trusted proxies 224.0.0.0/8; Strict: skipped paths /a/./b; Strict: masked fields []; "
        "Strict: allowed content types text/a!b*)"
    )
    fields = policies.fields_of(strict).model_dump()
    await policies.update(
        other.changes, SaveRequest(ADA), 2, PolicyFields.model_validate({**fields, "description": "x"})
    )


BROKEN = [
    (
        "UPDATE hostname SET name = 'xn--bcher-kva.example'",
        "*.shop.example: A virtual host for bücher.example already exists.",
    ),
    (
        "UPDATE policy SET name = 'DEFAULT' WHERE name = 'Strict'",
        "Policy DEFAULT: A policy named Default already exists.",
    ),
    ("UPDATE server SET address = '{ours}' WHERE virtual_host_id = 1", "HAProxy itself listens on {ours}"),
    ("UPDATE traffic SET max_connections = 50000", "Traffic settings: At most "),
]


@pytest.mark.parametrize("running_engines", [True, False])
async def test_a_backup_obeys_the_rules_that_every_save_does(
    panel: Panel, other: Panel, tmp_path: Path, running_engines: bool
) -> None:
    assert isinstance(other.engines, FakeEngines)
    ours = f"127.0.0.1:{other.settings.http_binds[0][1]}"
    other.changes.renderer.facts = replace(other.changes.renderer.facts, open_files=10_000)
    await fill(panel)
    made = await backup(panel)
    other.engines.is_up = running_engines
    for statement, words in BROKEN:
        candidate = await taken(other, changed(made, tmp_path, statement.format(ours=ours)))
        before, checks = tables(other), other.engines.checks

        with pytest.raises(Conflict) as refused:
            await (
                restores.restore(other.changes, SaveRequest(ADA), candidate)
                if running_engines
                else restores.from_command(other.changes, candidate)
            )

        assert words.format(ours=ours) in refused.value.message
        assert (tables(other), other.engines.checks) == (before, checks), statement


async def test_a_backup_of_a_newer_guardpanel_is_said_to_be_newer(panel: Panel, other_folder: Path) -> None:
    data = changed(await backup(panel), other_folder, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(BackupTooNew, match="newer guardpanel"):
        await taken(panel, data)


async def test_a_backup_with_an_older_schema_is_brought_to_ours(
    panel: Panel, other: Panel, other_folder: Path, tmp_path: Path
) -> None:
    await fill(panel)
    data = changed(await backup(panel), tmp_path, schema="0001")

    await restored(other, data)

    assert tables(other)["virtualhost"] == tables(panel)["virtualhost"]
    async with other.database.read() as session:
        assert len((await revisions.page(session)).items) == len(tables(panel)["deployment"]) + 2


async def test_a_file_that_is_no_database_is_refused(panel: Panel, tmp_path: Path) -> None:
    (tmp_path / archives.DATABASE).write_bytes(b"SQLite format 3\0" + bytes(5000))
    out = io.BytesIO()
    archives.write(out, tmp_path, None, None, "")

    with pytest.raises(BackupDamaged):
        await taken(panel, out.getvalue())


async def test_a_wrong_passphrase_changes_nothing(panel: Panel) -> None:
    data, before = await backup(panel, WORDS), tables(panel)

    for words in ("", "correct horse batterie"):
        with pytest.raises(WrongPassphrase):
            await taken(panel, data, words)

    assert tables(panel) == before


async def test_a_backup_shows_nothing_of_what_is_in_it(panel: Panel) -> None:
    assert ADA.encode() not in await backup(panel, WORDS)


async def test_where_no_engine_runs_the_next_start_makes_it_live(
    panel: Panel, other: Panel, other_folder: Path
) -> None:
    assert isinstance(other.engines, FakeEngines)
    await fill(panel)
    candidate = await taken(other, await backup(panel))
    other.engines.is_up = False

    said = await restores.from_command(other.changes, candidate)

    assert "goes live when guardpanel starts" in said
    assert other.engines.checks > 1
    assert tables(other)["virtualhost"] == tables(panel)["virtualhost"]
    async with running(create_app(other.settings, parts=FAKES)) as app:
        started: Panel = app.state.panel
        last = (await _all(started))[-1]
        assert (last.summary, last.author, last.outcome) == (candidate.summary, "guardpanel restore", Outcome.LIVE)
        assert started.changes.renderer.facts.secret == panel.changes.renderer.facts.secret
        before = len(await _all(started))
    async with running(create_app(other.settings, parts=FAKES)) as app:
        assert len(await _all(app.state.panel)) == before, "once"


async def test_where_an_engine_refuses_it_nothing_is_put_in(panel: Panel, other: Panel) -> None:
    assert isinstance(other.engines, FakeEngines)
    await fill(panel)
    candidate, before = await taken(other, await backup(panel)), tables(other)
    other.engines.is_up = False
    other.engines.reject("name", "no", noun="policy", noun_id=1)

    with pytest.raises(ConfigRejected):
        await restores.from_command(other.changes, candidate)

    assert tables(other) == before


async def test_an_attempt_that_was_cut_off_does_not_come_back_over_a_restore(panel: Panel, other: Panel) -> None:
    assert isinstance(other.engines, FakeEngines)
    await fill(panel)
    candidate = await taken(other, await backup(panel))
    other.engines.is_up = False
    async with other.database.write() as session:
        await session.exec(update(Deployment).values(outcome=Outcome.DEPLOYING, before=b"not read"))

    await restores.from_command(other.changes, candidate)
    await other.changes.settle()

    assert tables(other)["virtualhost"] == tables(panel)["virtualhost"]


async def test_one_engine_alone_is_not_enough(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    candidate, before = await taken(panel, await backup(panel)), tables(panel)
    status = await panel.engines.status()

    async def half() -> object:
        return replace(status, agent=replace(status.agent, running=False, problem="The agent does not answer."))

    monkeypatch.setattr(panel.engines, "status", half)
    with pytest.raises(EngineUnavailable, match="Start both"):
        await restores.from_command(panel.changes, candidate)

    assert tables(panel) == before


async def test_the_set_up_link_works_after_a_backup_without_accounts(other: Panel, fresh_app: FastAPI) -> None:
    fresh: Panel = fresh_app.state.panel
    token = await other.accounts.setup_token()
    assert token is not None

    await restored(other, await backup(fresh))

    async with other.database.read() as session:
        await other.accounts.may_set_up(session, token)


async def test_a_backup_is_a_file_for_its_owner_alone_or_what_was_there_before(
    panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "here.tar.gz"
    await panel.backups.write_file(path, "")
    first = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    assert path.stat().st_mode & 0o777 == 0o600
    with monkeypatch.context() as patch:
        patch.setattr(archives, "write", full)
        with pytest.raises(Problem, match="No space left"):
            await panel.backups.write_file(path, "")
    assert path.read_bytes() == first
    assert [file.name for file in tmp_path.iterdir()] == ["here.tar.gz"]
    assert not list(panel.settings.data_dir.glob(".backup-*"))


async def test_there_is_nothing_to_back_up_where_nothing_is(folder: Path) -> None:
    with pytest.raises(NotFound, match="Nothing to back up"):
        await Backups(Settings(data_dir=folder)).write(io.BytesIO(), "")


async def test_what_waits_too_long_is_deleted(panel: Panel) -> None:
    first = await taken(panel, await backup(panel))
    panel.backups.sweep(older_than=3600)
    assert (await panel.backups.find(first.token)).manifest == first.manifest

    panel.backups.sweep()

    with pytest.raises(NotFound):
        await panel.backups.find(first.token)
    with pytest.raises(NotFound):
        await panel.backups.find("../releases")


async def test_it_says_what_would_change(panel: Panel) -> None:
    data = await backup(panel)
    await fill(panel)
    await policies.update(panel.changes, SaveRequest(ADA), 1, PolicyFields(name="Other"))
    candidate = await taken(panel, data)

    async with panel.database.read() as session:
        outlook = await restores.outlook(session, candidate)

    assert outlook.counts == {"virtual_host": (2, 0), "policy": (2, 1), "account": (2, 2)}
    assert outlook.changed == {("policy", "changed"): 1, ("policy", "removed"): 1, ("virtual_host", "removed"): 2}
    assert not outlook.takes_history
    assert candidate.administrators == [ADA]


async def test_the_manifest_says_what_and_when(panel: Panel, tmp_path: Path) -> None:
    await fill(panel)
    manifest, _ = archives.read(io.BytesIO(await backup(panel)), tmp_path, "")

    async with panel.database.read() as session:
        live = await revisions.live(session)
    assert live is not None
    assert (manifest.revision, manifest.checksum) == (live.id, live.checksum)
    assert abs((datetime.now(UTC) - manifest.made_at).total_seconds()) < 3600
    assert json.loads((tmp_path / archives.MANIFEST).read_text())["format"] == 1


async def test_every_table_is_in_a_backup() -> None:
    """A new table must be thought of: is it put back, taken over as history, or left out on purpose?"""
    from sqlmodel import SQLModel

    from guardpanel.services.saving import snapshots

    assert {
        table.name
        for table in (*snapshots.WHOLE, *restores.HISTORY, keys.TABLE, *keys.LEFT_OUT, lists.TABLE, lists.BANS)
    } == set(SQLModel.metadata.tables)
    assert VERA and Installation.__tablename__ in SQLModel.metadata.tables


async def a_site(panel: Panel, name: str) -> None:
    """Over HTTPS, with a certificate of its own."""
    ada = SaveRequest("eve@example.org")
    await virtual_hosts.create(panel.changes, ada, a_host(name, https=True))
    fields = CertificateFields(name=name, source=Source.SELF_SIGNED, names=[name])
    await certificates.create(panel.changes, ada, fields)


async def test_a_certificate_restored_without_its_key_does_not_get_another_ones_of_this_machine(
    panel: Panel, other: Panel
) -> None:
    await a_site(panel, "bank.example")
    await a_site(other, "shop.example")
    releases, without_key, whole = other.engines.releases, await backup(panel), await backup(panel, WORDS)
    shop = (releases.link / "certs" / "1.pem").read_bytes()

    await restored(other, without_key)
    files = sorted(path.name for path in (releases.link / "certs").iterdir())
    _, listed = (releases.link / "crt-list.txt").read_text().splitlines()
    await restores.restore(other.changes, SaveRequest("eve@example.org"), await taken(other, whole, WORDS))

    assert (files, listed) == (["default.pem"], "certs/default.pem bank.example")
    bank = (panel.engines.releases.link / "certs" / "1.pem").read_bytes()
    assert (releases.link / "certs" / "1.pem").read_bytes() == bank != shop


async def test_a_backup_during_a_renewal_has_the_certificate_before_it(
    panel: Panel, other: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_site(panel, "bank.example")
    proven, backups = (panel.engines.releases.link / "certs" / "1.pem").read_bytes(), []

    async def fails(*_: object, **__: object) -> None:
        backups.append(await backup(panel, WORDS))
        raise DeploymentFailed("HAProxy failed.", step="verify")

    monkeypatch.setattr(panel.engines, "deploy", fails)
    with pytest.raises(RolledBack):
        await certificates.renew(panel.changes, SaveRequest(ADA), 1)

    await restores.restore(other.changes, SaveRequest(ADA), await taken(other, backups[0], WORDS))

    assert (other.engines.releases.link / "certs" / "1.pem").read_bytes() == proven


async def test_a_client_ca_is_in_a_backup_with_its_lists(panel: Panel, other: Panel) -> None:
    """They are public: no passphrase is needed."""
    ada = SaveRequest(ADA)
    staff = ClientCaFields(name="Staff", certificates=whole(), revocation_lists=revocation_lists())
    await client_cas.create(panel.changes, ada, staff)
    asking = {"https": True, "client_certificates": "required", "client_ca_id": 1}
    await virtual_hosts.create(panel.changes, ada, a_host("shop.example", **asking))

    await restored(other, await backup(panel))

    assert len(tables(panel)["clientca"]) == 1
    for table in ("clientca", "virtualhost"):
        assert tables(other)[table] == tables(panel)[table]
    assert isinstance(other.engines, FakeEngines)
    assert other.engines.running is not None
    assert other.engines.running.files["client_ca/1.crl"].decode() == revocation_lists()
