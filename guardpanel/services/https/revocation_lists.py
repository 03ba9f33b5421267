"""Revocation lists of client CAs, downloaded again and again. One is judged like one that is pasted, and saved like it. Whatever
fails, the lists that are there stay: HAProxy knows no certificate that is revoked without them.

When it was tried is stored before: a restart downloads what is due, and nothing is downloaded that could not be saved.

What was downloaded last is kept beside the configuration: an undo or a restore brings older lists back, and with them
certificates that were revoked since. The newer ones follow at once, without a download.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from cryptography.hazmat.primitives import hashes
from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.access.downloading import NO_MARKS, download
from guardpanel.access.fetching import DownloadFailed
from guardpanel.background import Background
from guardpanel.certificates.client_authorities import Authorities, Certificate, RevocationList, is_of, read
from guardpanel.certificates.names import called
from guardpanel.clock import has_come
from guardpanel.errors import Conflict, EngineUnavailable, NotFound, Problem, Stale, StorageFailed
from guardpanel.feed_reach import FeedReach
from guardpanel.models import ClientCa, ListDownload
from guardpanel.services import client_cas
from guardpanel.services.saving.changes import Changes, SaveRequest

log = logging.getLogger(__name__)

AUTHOR = SaveRequest("guardpanel")

EVERY_SECONDS = 10.0

AT_ONCE = 4
"Client CAs. Each has up to 10 URLs."

CHANGED = (Conflict, NotFound, Stale)
"By somebody else meanwhile."

LARGEST_LIST = 1024 * 1024
"Bytes that are read of a download. What may be kept is less (`client_authorities`)."


class RevocationLists:
    def __init__(
        self, changes: Changes, reach: FeedReach, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.changes, self.reach, self.now = changes, reach, now
        self._one: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._some = asyncio.Semaphore(AT_ONCE)
        self._compared = dict[int, int]()
        "By client CA, its version that has been compared with what was downloaded last. A save that is rejected is not repeated."

    def follow(self, background: Background) -> None:
        """Runs as long as the panel."""
        background.keep("revocation lists", self.look, EVERY_SECONDS)

    async def look(self) -> None:
        """Put newer lists back, and download what is due, side by side, whatever becomes of one."""
        await self._keep_newest()
        ended = await asyncio.gather(*map(self._download, await self._due()), return_exceptions=True)
        for failure in filter(None, ended):
            raise failure

    async def download(self, client_ca_id: int, request: SaveRequest = AUTHOR) -> ListDownload:
        """Now, and save what is new. What came of it is returned. Raises NotFound (404), Conflict (409) for a client CA without
        URLs, and StorageFailed (507)."""
        async with self._one[client_ca_id], self._some:
            await self.changes.settled()  # Lists that could not be recorded as live may be rolled back.
            row = await self._with_urls(client_ca_id)
            began = await self._begin(row)
            try:
                lists = await asyncio.to_thread(newest, row, await self._bodies(row))
                await self._save(row, lists, request)
            except Problem as problem:
                log.warning("revocation lists of client CA %s: %s", row.id, problem.message[:300])
                return await self._end(began, problem.message)
            return await self._end(began, "", lists)

    async def of(self, session: AsyncSession, row: ClientCa) -> ListDownload | None:
        """What came of its last download. None: it is due."""
        known = await session.get(ListDownload, row.id)
        is_its = known and (known.client_ca_created_at, known.urls) == (row.created_at, row.revocation_list_urls)
        return known if is_its else None

    async def _download(self, client_ca_id: int) -> None:
        with suppress(*CHANGED):
            await self.download(client_ca_id)

    async def _due(self) -> list[int]:
        now, known = self.now(), await self._known()
        return [row.id or 0 for row, last in known if last is None or has_come(last.due_at, last.tried_at, now)]

    async def _known(self) -> list[tuple[ClientCa, ListDownload | None]]:
        async with self.changes.database.read() as session:
            rows = (await session.exec(select(ClientCa).order_by(col(ClientCa.id)))).all()
            return [(row, await self.of(session, row)) for row in rows if row.revocation_list_urls]

    async def _keep_newest(self) -> None:
        for row, last in await self._known():
            number = row.id or 0
            if last is None or row.revocation_lists == last.lists or self._compared.get(number) == row.version:
                continue
            with suppress(*CHANGED):
                await self._put_back(number, row, last.lists)
                self._compared[number] = row.version

    async def _put_back(self, client_ca_id: int, row: ClientCa, kept: str) -> None:
        async with self._one[client_ca_id]:
            await self.changes.settled()
            try:
                await self._save(row, await asyncio.to_thread(with_kept, row, kept), AUTHOR)
            except (*CHANGED, StorageFailed, EngineUnavailable):
                raise  # Soon again.
            except Problem as problem:
                log.warning("newer revocation lists of client CA %s: %s", client_ca_id, problem.message[:300])

    async def _with_urls(self, client_ca_id: int) -> ClientCa:
        async with self.changes.database.read() as session:
            row = await client_cas.find(session, client_ca_id)
        if not row.revocation_list_urls:
            raise Conflict("This client CA has no revocation list URLs.")
        return row

    async def _bodies(self, row: ClientCa) -> list[bytes]:
        """All or none: HAProxy needs the lists of all CAs together."""
        bodies = await asyncio.gather(*map(self._body, row.revocation_list_urls), return_exceptions=True)
        for failure in bodies:
            if isinstance(failure, BaseException):
                raise failure
        return [body for body in bodies if isinstance(body, bytes)]

    async def _body(self, url: str) -> bytes:
        try:
            downloaded = await download(url, NO_MARKS, self.reach, largest=LARGEST_LIST)
        except DownloadFailed as problem:
            raise DownloadFailed(f"{url}: {problem.message}") from problem
        return downloaded.body if downloaded else b""  # Without marks there always is one.

    async def _save(self, row: ClientCa, lists: str, request: SaveRequest) -> None:
        """Raises Problem, also if somebody else edits it: then it is tried again."""
        if lists == row.revocation_lists:
            return
        fields = client_cas.fields_of(row)
        fields.revocation_lists = lists
        await client_cas.update(self.changes, request, row.id or 0, fields, row.version)

    async def _begin(self, row: ClientCa) -> ListDownload:
        """Raises StorageFailed while nothing can be stored: it would be downloaded again and again."""
        async with self.changes.database.write() as session:
            await session.exec(delete(ListDownload).where(col(ListDownload.client_ca_id).not_in(select(ClientCa.id))))
            its = {"client_ca_created_at": row.created_at, "urls": row.revocation_list_urls, "tried_at": self.now()}
            known = await self.of(session, row)
            before = known.model_dump() if known else {"client_ca_id": row.id}
            return await session.merge(ListDownload(**before | its))

    async def _end(self, began: ListDownload, problem: str, lists: str | None = None) -> ListDownload:
        ended = began.model_copy(update={"problem": problem[:5000], "lists": began.lists if lists is None else lists})
        ended.good_at, ended.failures = (began.good_at, began.failures + 1) if problem else (began.tried_at, 0)
        async with self.changes.database.write() as session:
            return await session.merge(ended)


def newest(row: ClientCa, bodies: Sequence[bytes]) -> str:
    """The row's lists, each replaced by the newest of the same CA that was downloaded. Raises DownloadFailed if that is older,
    like one that is played back to have a revoked certificate accepted, and Invalid if a download can't be read."""
    stored = read(row.certificates, row.revocation_lists, ())
    downloaded = dict[object, RevocationList]()
    for url, body in zip(row.revocation_list_urls, bodies, strict=True):
        lists = read("", "", [body]).lists
        if not lists:
            raise DownloadFailed(f"{url}: There is no revocation list.")
        for each in lists:
            signer = _signer(each, stored.certificates)
            downloaded[signer] = max(each, downloaded.get(signer, each), key=_issued)
    for before in stored.lists:
        after = downloaded.get(_signer(before, stored.certificates))
        if after is not None and _issued(after) < _issued(before):
            raise DownloadFailed(f"The revocation list of {called(before.issuer)} is older than the one that is used.")
    return _replaced(stored, downloaded)


def with_kept(row: ClientCa, kept: str) -> str:
    """The row's lists, with those of the same CAs that were downloaded before in place of older ones, and of none."""
    stored, newer = read(row.certificates, row.revocation_lists, ()), dict[object, RevocationList]()
    used = {_signer(each, stored.certificates): each for each in stored.lists}
    for each in read("", kept, ()).lists:
        signer = _signer(each, stored.certificates)
        if signer != each.issuer and (signer not in used or _issued(used[signer]) < _issued(each)):
            newer[signer] = each
    return _replaced(stored, newer) if newer else row.revocation_lists


def _replaced(stored: Authorities, newer: Mapping[object, RevocationList]) -> str:
    chosen = dict[object, list[RevocationList]]()
    for each in stored.lists:
        chosen.setdefault(_signer(each, stored.certificates), []).append(each)
    chosen |= {signer: [each] for signer, each in newer.items()}
    return Authorities(lists=[each for its in chosen.values() for each in its]).lists_pem


def _issued(revoked: RevocationList) -> datetime:
    return revoked.last_update_utc


def _signer(revoked: RevocationList, certificates: Sequence[Certificate]) -> object:
    """Whose list it is. CAs with one name are told apart, such as one and its successor with another key. Without one that signed
    it, the name: it is rejected when it is judged."""
    signers = (each.fingerprint(hashes.SHA256()) for each in certificates if is_of(revoked, each))
    return next(signers, revoked.issuer)
