"""What is in a backup, and that nothing but a good one is restored. The engines are fakes: see tests/live for real ones."""

import io
import json
import sqlite3
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
    ConfigRejected,
    DeploymentFailed,
    EngineUnavailable,
    NotFound,
    Problem,
    RolledBack,
)
from guardpanel.models import Deployment, IdempotencyKey, Installation
from guardpanel.models.certificates.certificate import CertificateFields, Source
from guardpanel.models.certificates.client_ca import ClientCaFields
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.models.revision import Outcome
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.panel import Panel
from guardpanel.services import certificates, client_cas, policies, virtual_hosts
from guardpanel.services.backups import archives, keys, lists, restores
from guardpanel.services.backups.backups import Backups, Candidate
from guardpanel.services.saving import revisions, snapshots
from guardpanel.services.saving.changes import SaveRequest
from guardpanel.settings import Settings
from tests.certificates.test_client_cas import lists as revocation_lists
from tests.certificates.test_client_cas import whole
from tests.conftest import ADA, VERA, running
from tests.fakes import FAKES, FakeEngines
from tests.schemas import downgrade

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("cheap")]

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


async def all_deployments(panel: Panel) -> list[Deployment]:
    async with panel.database.read() as session:
        return list((await session.exec(select(Deployment))).all())


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
        assert [bool(content.pem) for content in await contents.CurrentContents(other.changes.seal).of(session)] == [
            True
        ]


async def test_where_no_engine_runs_the_next_start_makes_it_live(
    panel: Panel, other: Panel, other_folder: Path
) -> None:
    assert isinstance(other.engines, FakeEngines)
    await fill(panel)
    candidate = await taken(other, await backup(panel))
    other.engines.is_up = False

    report = await restores.from_command(other.changes, candidate)

    assert "goes live when guardpanel starts" in report
    assert other.engines.checks > 1
    assert tables(other)["virtualhost"] == tables(panel)["virtualhost"]
    async with running(create_app(other.settings, parts=FAKES)) as app:
        started: Panel = app.state.panel
        last = (await all_deployments(started))[-1]
        assert (last.summary, last.author, last.outcome) == (candidate.summary, "guardpanel restore", Outcome.LIVE)
        assert started.changes.renderer.facts.secret == panel.changes.renderer.facts.secret
        before = len(await all_deployments(started))
    async with running(create_app(other.settings, parts=FAKES)) as app:
        assert len(await all_deployments(app.state.panel)) == before, "once"


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
        for table in (
            *snapshots.WHOLE,
            *restores.HISTORY,
            keys.TABLE,
            *keys.LEFT_OUT,
            lists.TABLE,
            lists.BANS,
            lists.FEEDS,
        )
    } | {str(IdempotencyKey.__tablename__)} == set(SQLModel.metadata.tables)
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
