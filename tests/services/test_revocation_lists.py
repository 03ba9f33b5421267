"""Revocation lists from URLs: judged like those that are pasted, never older, and the last good ones stay."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from guardpanel.errors import StorageFailed
from guardpanel.feed_reach import FeedReach
from guardpanel.models import ClientCa, ListDownload
from guardpanel.models.certificates.client_ca import ClientCaFields
from guardpanel.panel import Panel
from guardpanel.services import client_cas
from guardpanel.services.history import history
from guardpanel.services.https.revocation_lists import RevocationLists
from guardpanel.services.saving.changes import SaveRequest
from tests.certificates.made import intermediate, made, revoked, root
from tests.certificates.test_client_cas import lists, misspelled_list, whole

pytestmark = pytest.mark.anyio

ADA = SaveRequest("ada")


class Downloads:
    """A client CA whose lists are two files, and a clock."""

    def __init__(self, panel: Panel, folder: Path) -> None:
        self.panel, self.ahead = panel, timedelta()
        self.files = [folder / "root.crl", folder / "intermediate.crl"]
        self.folder = folder
        self.restart()

    def restart(self) -> None:
        self.lists = RevocationLists(self.panel.changes, FeedReach(files=self.folder), self.now)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def put(self, *texts: str | bytes) -> None:
        for file, text in zip(self.files, texts, strict=True):
            file.write_bytes(text if isinstance(text, bytes) else text.encode())

    async def row(self) -> ClientCa:
        async with self.panel.database.read() as session:
            return await client_cas.find(session, 1)

    async def known(self) -> ListDownload | None:
        async with self.panel.database.read() as session:
            return await self.lists.of(session, await client_cas.find(session, 1))

    async def look(self, ahead: timedelta = timedelta()) -> tuple[str, str]:
        """The stored lists, and why the last download failed."""
        self.ahead += ahead
        await self.lists.look()
        row, known = await self.row(), await self.known()
        assert known is not None
        return row.revocation_lists, known.problem


@pytest.fixture
async def downloads(panel: Panel, tmp_path: Path) -> Downloads:
    downloads = Downloads(panel, tmp_path)
    urls = [f"file://{file}" for file in downloads.files]
    fields = ClientCaFields(name="Staff", certificates=whole(), revocation_list_urls=urls)
    await client_cas.create(panel.changes, ADA, fields)
    return downloads


def older(**others: Any) -> str:
    return revoked(intermediate(), days=(-2, 30), **others)


async def test_lists_are_saved_when_they_change_and_not_otherwise(downloads: Downloads) -> None:
    first, second = lists(), lists(serials=(7,))
    downloads.put(revoked(root()), revoked(intermediate()))
    assert await downloads.look() == (first, "")
    assert (await downloads.look(timedelta(hours=2)))[0] == first
    assert (await downloads.row()).version == 2

    der = x509.load_pem_x509_crl(revoked(intermediate(), serials=(7,)).encode())
    downloads.put(revoked(root()), der.public_bytes(Encoding.DER))
    assert await downloads.look(timedelta(minutes=59)) == (first, "")
    assert await downloads.look(timedelta(minutes=2)) == (second, "")
    assert (await downloads.row()).version == 3


async def test_a_clock_that_is_set_back_keeps_no_newer_list_away(downloads: Downloads) -> None:
    downloads.put(revoked(root()), revoked(intermediate()))
    await downloads.look(timedelta(days=30))
    downloads.put(revoked(root()), revoked(intermediate(), serials=(7,)))

    assert await downloads.look(timedelta(days=-30)) == (lists(serials=(7,)), "")
    assert (await downloads.known()).tried_at <= downloads.now()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (older(), "is older than the one that is used"),
        (revoked(intermediate(), serials=(7,), signer=made(common_name="Other", ca=True)), "None of the CAs above signed"),
        (revoked(intermediate(), days=(-0.5, -0.1)), "ended on"),
        (revoked(intermediate(), extension=x509.DeltaCRLIndicator(1)), "is a delta"),
        (intermediate().pem, "intermediate.crl: There is no revocation list."),
        ("<html>", "PEM"),
        (misspelled_list(), "Revocation list 1 is damaged."),
        ("", ""),
        (b"-----BEGIN X509 CRL-----\n" + b"A" * 300_000, "Larger than 256 KiB"),
        (b"A" * 1_100_000, "larger than 1 MiB"),
    ],
)  # fmt: skip
async def test_the_last_good_lists_stay(downloads: Downloads, text: str | bytes, words: str) -> None:
    downloads.put(revoked(root()), revoked(intermediate()))
    await downloads.look()
    downloads.put(revoked(root()), text)

    stored, problem = await downloads.look(timedelta(hours=2))

    assert stored == lists()
    assert problem and words in problem
    assert (await downloads.row()).version == 2
    downloads.put(revoked(root()), revoked(intermediate(), serials=(7,)))
    assert (await downloads.look(timedelta(seconds=50)))[1] == problem
    assert await downloads.look(timedelta(seconds=20)) == (lists(serials=(7,)), "")


async def test_of_two_places_with_a_list_of_one_ca_the_newest_is_used(downloads: Downloads) -> None:
    downloads.put(lists(), older(serials=(7,)))
    assert await downloads.look() == (lists(), "")


async def test_cas_with_one_name_each_have_a_list(downloads: Downloads) -> None:
    """One and its successor: the older list of one is not taken for that of the other."""
    successor = made(common_name="Example Root", kind="successor", ca=True)
    fields = client_cas.fields_of(await downloads.row())
    fields.certificates, fields.revocation_lists = root().pem + successor.pem, ""
    await client_cas.update(downloads.panel.changes, ADA, 1, fields)
    for serials in ((), (7,)):
        texts = revoked(root(), serials=serials), revoked(successor, days=(-2, 30), serials=serials)
        downloads.put(*texts)
        assert await downloads.look(timedelta(hours=2)) == ("".join(texts), "")


async def test_whatever_becomes_of_one_client_ca_the_others_are_downloaded(
    downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = [f"file://{file}" for file in downloads.files]
    fields = ClientCaFields(name="Guests", certificates=whole(), revocation_list_urls=urls)
    await client_cas.create(downloads.panel.changes, ADA, fields)
    downloads.put(revoked(root()), revoked(intermediate()))

    bodies = downloads.lists._bodies

    async def planted(row: ClientCa) -> list[bytes]:
        if row.id == 1:
            raise RuntimeError("planted")
        return await bodies(row)

    monkeypatch.setattr(downloads.lists, "_bodies", planted)
    with pytest.raises(RuntimeError, match="planted"):
        await downloads.lists.look()

    async with downloads.panel.database.read() as session:
        assert (await client_cas.find(session, 2)).revocation_lists == lists()


async def test_a_list_that_no_url_brings_stays_as_it_was_pasted(downloads: Downloads) -> None:
    fields = client_cas.fields_of(await downloads.row())
    fields.revocation_lists, fields.revocation_list_urls = lists(), [f"file://{downloads.files[1]}"]
    await client_cas.update(downloads.panel.changes, ADA, 1, fields)
    downloads.put("", revoked(intermediate(), serials=(7,)))

    assert await downloads.look() == (lists(serials=(7,)), "")


async def test_an_undo_or_a_restore_leaves_no_older_list_in_use(downloads: Downloads) -> None:
    """Neither with nor without the server of the lists, and a list that an operator pastes and that is newer stays."""
    changes = downloads.panel.changes
    downloads.put(revoked(root()), older())
    await downloads.look()
    downloads.put(revoked(root()), revoked(intermediate(), serials=(7,)))
    assert (await downloads.look(timedelta(hours=2)))[0] == lists(serials=(7,))
    for file in downloads.files:
        file.unlink()

    last = await newest_change(downloads)
    await history.undo(changes, ADA, last)
    assert (await downloads.row()).revocation_lists != lists(serials=(7,))
    assert (await downloads.look())[0] == lists(serials=(7,))
    await history.restore(changes, ADA, last - 2, ("client_ca", 1))  # as it was created, without lists
    assert (await downloads.row()).revocation_lists == ""
    assert (await downloads.look())[0] == lists(serials=(7,))

    fields = client_cas.fields_of(await downloads.row())
    fields.revocation_lists = revoked(root()) + (pasted := revoked(intermediate(), days=(-0.2, 30), serials=(7, 8)))
    await client_cas.update(changes, ADA, 1, fields)
    assert (await downloads.look())[0] == revoked(root()) + pasted


async def newest_change(downloads: Downloads) -> int:
    async with downloads.panel.database.read() as session:
        return await history.newest(session) or 0


async def test_failures_are_stale_after_three_hours_and_other_urls_are_tried_at_once(downloads: Downloads) -> None:
    downloads.put(revoked(root()), revoked(intermediate()))
    await downloads.look()
    downloads.files[1].unlink()
    stale = []
    for _ in range(2):
        await downloads.look(timedelta(hours=2))
        known = await downloads.known()
        stale.append(known is not None and known.is_stale(downloads.now()))
    assert stale == [False, True]
    fields = client_cas.fields_of(await downloads.row())
    fields.revocation_list_urls = [f"file://{downloads.files[0]}"]
    await client_cas.update(downloads.panel.changes, ADA, 1, fields)
    assert await downloads.known() is None
    assert await downloads.look() == (lists(), "")


async def test_a_restart_knows_when_lists_were_downloaded_and_downloads_none_before_that_is_due(
    downloads: Downloads,
) -> None:
    downloads.put(revoked(root()), revoked(intermediate()))
    await downloads.look()
    first = await downloads.known()
    downloads.put("", "")

    downloads.restart()
    await downloads.look(timedelta(minutes=59))
    assert first and await downloads.known() == first
    await downloads.look(timedelta(minutes=2))
    downloads.restart()
    failed = await downloads.known()
    assert failed and (failed.failures, failed.good_at) == (1, first.good_at) and not failed.is_stale(downloads.now())
    assert failed.is_stale(downloads.now() + timedelta(hours=3))


async def test_a_download_that_was_cut_off_is_made_again_within_a_minute(
    downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads.put(revoked(root()), revoked(intermediate()))
    with monkeypatch.context() as patched:
        patched.setattr(downloads.lists, "_bodies", AsyncMock(side_effect=asyncio.CancelledError))
        with pytest.raises(asyncio.CancelledError):
            await downloads.lists.download(1)
    downloads.restart()
    assert (await downloads.look(timedelta(seconds=50)))[0] == ""
    assert (await downloads.look(timedelta(seconds=20)))[0] == lists()


async def test_nothing_is_downloaded_while_nothing_can_be_stored(
    downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = AsyncMock()
    monkeypatch.setattr(downloads.lists, "_bodies", bodies)
    monkeypatch.setattr(downloads.panel.database, "write", Mock(side_effect=StorageFailed("The disk is full.")))

    with pytest.raises(StorageFailed):
        await downloads.lists.look()
    assert not bodies.called


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("ldap://pki.example/cn=ca", "starts with http://, https:// or file:///"), ("pki.example/ca.crl", "starts with"),
        ("http://user:pw@pki.example/", "user name"), ("http://", "hostname"), ("http://a.example/#b", "after #"),
    ],
)  # fmt: skip
def test_what_is_no_url_is_rejected(typed: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ClientCaFields.model_validate({"name": "Staff", "certificates": whole(), "revocation_list_urls": [typed]})
