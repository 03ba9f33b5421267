"""Revocation lists of client CAs, downloaded again and again. One is judged like one that is pasted, and saved like it. Whatever
fails, the lists that are there stay: HAProxy knows no certificate that is revoked without them.

What was tried is not stored: it is tried again at each start.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives import hashes
from sqlmodel import col, select

from guardpanel.access.downloading import NO_MARKS, download
from guardpanel.access.fetching import DownloadFailed
from guardpanel.background import Background
from guardpanel.certificates.client_authorities import Authorities, Certificate, RevocationList, is_of, read
from guardpanel.certificates.names import called
from guardpanel.errors import Conflict, NotFound, Problem
from guardpanel.feed_reach import FeedReach
from guardpanel.models import ClientCa
from guardpanel.services import client_cas
from guardpanel.services.saving.changes import Changes, SaveRequest

log = logging.getLogger(__name__)

AUTHOR = SaveRequest("guardpanel")

EVERY_SECONDS = 10.0

INTERVAL = timedelta(hours=1)
"Between two downloads. Lists are mostly issued once a day, and in between when a key was lost."

FIRST_RETRY = timedelta(minutes=1)

STALE_AFTER = 3 * INTERVAL

AT_ONCE = 4
"Client CAs. Each has up to 10 URLs."

LARGEST_LIST = 1024 * 1024
"Bytes that are read of a download. What may be kept is less (`client_authorities`)."


@dataclass(frozen=True)
class ListDownload:
    """What came of the downloads of a client CA."""

    urls: tuple[str, ...]
    tried_at: datetime
    good_at: datetime | None
    failures: int = 0
    problem: str = ""

    @property
    def due_at(self) -> datetime:
        retry = FIRST_RETRY * 2 ** min(self.failures - 1, 10)
        return self.tried_at + (min(retry, INTERVAL) if self.failures else INTERVAL)

    def is_stale(self, now: datetime) -> bool:
        return bool(self.failures) and (self.good_at is None or now - self.good_at > STALE_AFTER)


class RevocationLists:
    def __init__(
        self, changes: Changes, reach: FeedReach, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.changes, self.reach, self.now = changes, reach, now
        self._downloads: dict[int, ListDownload] = {}
        self._one: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._some = asyncio.Semaphore(AT_ONCE)

    def follow(self, background: Background) -> None:
        """Runs as long as the panel."""
        background.keep("revocation lists", self.look, EVERY_SECONDS)

    async def look(self) -> None:
        """Download what is due, side by side, whatever becomes of one."""
        ended = await asyncio.gather(*map(self._download, await self._due()), return_exceptions=True)
        for failure in filter(None, ended):
            raise failure

    async def download(self, client_ca_id: int, request: SaveRequest = AUTHOR) -> ListDownload:
        """Now, and save what is new. What came of it is returned. Raises NotFound (404), and Conflict (409) for a client CA
        without URLs."""
        async with self._one[client_ca_id], self._some:
            row = await self._with_urls(client_ca_id)
            try:
                lists = await asyncio.to_thread(newest, row, await self._bodies(row))
                await self._save(row, lists, request)
            except Problem as problem:
                log.warning("revocation lists of client CA %s: %s", row.id, problem.message[:300])
                return self._note(row, problem.message)
            return self._note(row, "")

    def of(self, row: ClientCa) -> ListDownload | None:
        """What came of its last download. None: it is due."""
        known = self._downloads.get(row.id or 0)
        return known if known and known.urls == tuple(row.revocation_list_urls) else None

    async def _download(self, client_ca_id: int) -> None:
        with suppress(Conflict, NotFound):  # It was changed meanwhile.
            await self.download(client_ca_id)

    async def _due(self) -> list[int]:
        async with self.changes.database.read() as session:
            rows = (await session.exec(select(ClientCa).order_by(col(ClientCa.id)))).all()
        return [row.id or 0 for row in rows if row.revocation_list_urls and self._is_due(row)]

    def _is_due(self, row: ClientCa) -> bool:
        known = self.of(row)
        return known is None or known.due_at <= self.now()

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

    def _note(self, row: ClientCa, problem: str) -> ListDownload:
        known, now, urls = self.of(row), self.now(), tuple(row.revocation_list_urls)
        good_at = now if not problem else known.good_at if known else None
        failures = (known.failures if known else 0) + 1 if problem else 0
        self._downloads[row.id or 0] = noted = ListDownload(urls, now, good_at, failures, problem)
        return noted


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
            downloaded[signer] = max(each, downloaded.get(signer, each), key=lambda known: known.last_update_utc)
    chosen = dict[object, list[RevocationList]]()
    for before in stored.lists:
        after = downloaded.get(signer := _signer(before, stored.certificates))
        if after is not None and after.last_update_utc < before.last_update_utc:
            raise DownloadFailed(f"The revocation list of {called(before.issuer)} is older than the one that is used.")
        chosen.setdefault(signer, []).append(before)
    chosen |= {signer: [after] for signer, after in downloaded.items()}
    return Authorities(lists=[each for its in chosen.values() for each in its]).lists_pem


def _signer(revoked: RevocationList, certificates: Sequence[Certificate]) -> object:
    """Whose list it is. CAs with one name are told apart, such as one and its successor with another key. Without one that signed
    it, the name: it is rejected when it is judged."""
    signers = (each.fingerprint(hashes.SHA256()) for each in certificates if is_of(revoked, each))
    return next(signers, revoked.issuer)
