"""What is wrong with a backup is said, and nothing of it is put in."""

import io
from dataclasses import replace
from pathlib import Path

import pytest

from guardpanel.errors import (
    Conflict,
    Invalid,
)
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.panel import Panel
from guardpanel.services import policies, traffic
from guardpanel.services.backups import archives, restores
from guardpanel.services.backups.sealing import BackupDamaged, BackupTooNew, WrongPassphrase
from guardpanel.services.saving import revisions
from guardpanel.services.saving.changes import SaveRequest
from tests.conftest import ADA
from tests.fakes import FakeEngines
from tests.services.backups.test_backups import WORDS, backup, changed, fill, restored, tables, taken

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("cheap")]


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
