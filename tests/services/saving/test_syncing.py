"""A release is on the disk before its save commits, although the engines check it meanwhile."""

import os
from pathlib import Path

import pytest
from sqlalchemy import event

from guardpanel.engines import files, releases
from guardpanel.errors import StorageFailed
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.panel import Panel
from guardpanel.services import virtual_hosts
from guardpanel.services.saving.changes import SaveRequest

pytestmark = pytest.mark.anyio

ADA = SaveRequest("ada")

SHOP = VirtualHostFields.model_validate({"hostnames": ["shop.test"], "servers": [{"address": "127.0.0.1:3000"}]})


async def test_every_file_and_directory_is_synced_before_the_commit(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def noted(path: Path) -> None:
        files.sync_path(path)
        done.append(str(path))

    monkeypatch.setattr(releases, "sync_path", noted)
    event.listen(panel.database.writing.sync_engine, "commit", lambda _: done.append("commit"))
    saved = await virtual_hosts.create(panel.changes, ADA, SHOP)

    root = panel.engines.releases.root
    synced, release = done[: done.index("commit")], root / str(saved.revision)
    links = {path for path in release.rglob("*") if path.is_file() and path.stat().st_nlink > 1}
    assert {Path(path) for path in synced} == {root, release, *release.rglob("*")} - links
    assert "haproxy.cfg" in {Path(path).name for path in synced}
    for directory in (root, release):  # After what is in it.
        assert all(Path(path).parent != directory for path in synced[synced.index(str(directory)) :])


async def test_nothing_is_saved_if_the_disk_does_not_keep_it(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Path) -> None:
        raise OSError(28, os.strerror(28))

    before = panel.engines.releases.numbers()
    with monkeypatch.context() as patched:
        patched.setattr(releases, "sync_path", full)
        with pytest.raises(StorageFailed, match="No space left on device"):
            await virtual_hosts.create(panel.changes, ADA, SHOP)

    assert panel.engines.releases.numbers() == before
    assert (await virtual_hosts.create(panel.changes, ADA, SHOP)).is_new


async def test_what_a_killed_save_left_is_written_and_synced_again(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_: object) -> None:
        raise OSError(5, os.strerror(5))

    done: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(releases, "sync_path", killed)
        patched.setattr(panel.engines.releases, "drop", killed)
        with pytest.raises(StorageFailed):
            await virtual_hosts.create(panel.changes, ADA, SHOP)
    left = panel.engines.releases.numbers()

    monkeypatch.setattr(releases, "sync_path", lambda path: done.append(path.name))
    saved = await virtual_hosts.create(panel.changes, ADA, SHOP)
    assert saved.revision == left[-1]
    assert "haproxy.cfg" in done
