"""What feeds have filled lists with, in backups that are restored where they were made, and in damaged ones."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlmodel import select

from guardpanel.feed_reach import FeedReach
from guardpanel.models import Feed
from guardpanel.models.access.address_list import AddressListInput
from guardpanel.panel import Panel
from guardpanel.services import address_lists
from guardpanel.services.backups import restores
from guardpanel.services.backups.sealing import BackupDamaged
from guardpanel.services.saving.changes import SaveRequest
from tests.conftest import ADA
from tests.services.backups.test_backups import backup, taken

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("cheap")]


async def filled(panel: Panel, folder: Path, entries: str) -> None:
    """A list with these entries, from a file."""
    source = folder / "drop.txt"
    source.write_text(entries)
    panel.feeds.reach = FeedReach((), folder)
    fields = {"name": "Feed", "filled_from": "url", "feed_url": f"file://{source}"}
    await address_lists.create(panel.changes, SaveRequest(ADA), AddressListInput.model_validate(fields))
    await panel.feeds.download(1)
    await panel.feeds.accept(1, who=ADA)


def applies(panel: Panel) -> str:
    return (panel.settings.feeds_dir / "1.map").read_text().replace(" 9999999999", "")


async def test_a_restored_list_is_in_its_file_with_what_applied_there(
    panel: Panel, other: Panel, tmp_path: Path
) -> None:
    """Also where another list has had its number."""
    await filled(panel, tmp_path, "203.0.113.7\n")
    data = await backup(panel)
    await filled(other, tmp_path, "198.51.100.7\n")

    await restores.restore(other.changes, SaveRequest(ADA), await taken(other, data))

    assert applies(other) == "203.0.113.7\n"


async def test_a_backup_is_restored_where_it_was_made(panel: Panel, tmp_path: Path) -> None:
    """The state of a list that is here already stays: it may be newer."""
    await filled(panel, tmp_path, "203.0.113.7\n")
    data = await backup(panel)
    (tmp_path / "drop.txt").write_text("203.0.113.7\n203.0.113.8\n")
    await panel.feeds.download(1)

    await restores.restore(panel.changes, SaveRequest(ADA), await taken(panel, data))

    assert applies(panel) == "203.0.113.7\n203.0.113.8\n"
    async with panel.database.read() as session:
        assert len((await session.exec(select(Feed))).all()) == 1


async def test_a_backup_with_two_states_of_a_list_is_damaged(panel: Panel, other: Panel, tmp_path: Path) -> None:
    await filled(panel, tmp_path, "203.0.113.7\n")
    candidate = await taken(other, await backup(panel))
    with closing(sqlite3.connect(candidate.database)) as database:
        columns = [column for _, column, *_ in database.execute("PRAGMA table_info(feed)") if column != "id"]
        database.execute("CREATE TABLE doubled AS SELECT * FROM feed")
        database.execute("DROP TABLE feed")
        database.execute("ALTER TABLE doubled RENAME TO feed")
        database.execute(f"INSERT INTO feed ({', '.join(columns)}) SELECT {', '.join(columns)} FROM feed")
        database.commit()

    with pytest.raises(BackupDamaged, match="The address lists in this backup are damaged"):
        await restores.restore(other.changes, SaveRequest(ADA), candidate)
