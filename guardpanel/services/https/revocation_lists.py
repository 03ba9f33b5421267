"""Revocation lists of client CAs, downloaded again and again. One is judged like one that is pasted, and saved like it. Whatever
fails, the lists that are there stay: HAProxy knows no certificate that is revoked without them.

What was tried is not stored: it is tried again at each start.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlmodel import col, select

from guardpanel.access.downloading import NO_MARKS, download
from guardpanel.access.fetching import DownloadFailed
from guardpanel.background import Background
from guardpanel.certificates.client_authorities import Authorities, RevocationList, read
from guardpanel.certificates.names import called
from guardpanel.errors import Problem
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

    def follow(self, background: Background) -> None:
        """Runs as long as the panel."""
        background.keep("revocation lists", self.look, EVERY_SECONDS)

    async def look(self) -> None:
        """Download what is due: side by side, since one may take a minute."""
        due = await self._due()
        bodies = await asyncio.gather(*(self._bodies(row) for row in due))
        for row, downloaded in zip(due, bodies, strict=True):
            await self._take(row, downloaded)

    def of(self, row: ClientCa) -> ListDownload | None:
        """What came of its last download. None: it is due."""
        known = self._downloads.get(row.id or 0)
        return known if known and known.urls == tuple(row.revocation_list_urls) else None

    async def _due(self) -> list[ClientCa]:
        async with self.changes.database.read() as session:
            rows = (await session.exec(select(ClientCa).order_by(col(ClientCa.id)))).all()
        return [row for row in rows if row.revocation_list_urls and self._is_due(row)]

    def _is_due(self, row: ClientCa) -> bool:
        known = self.of(row)
        return known is None or known.due_at <= self.now()

    async def _bodies(self, row: ClientCa) -> list[bytes] | Problem:
        """All or none: HAProxy needs the lists of all CAs together."""
        try:
            return [await self._body(url) for url in row.revocation_list_urls]
        except DownloadFailed as problem:
            return problem

    async def _body(self, url: str) -> bytes:
        try:
            downloaded = await download(url, NO_MARKS, self.reach)
        except DownloadFailed as problem:
            raise DownloadFailed(f"{url}: {problem.message}") from problem
        return downloaded.body if downloaded else b""  # Without marks there always is one.

    async def _take(self, row: ClientCa, bodies: list[bytes] | Problem) -> None:
        try:
            if isinstance(bodies, Problem):
                raise bodies
            await self._save(row, await asyncio.to_thread(newest, row, bodies))
        except Problem as problem:
            log.warning("revocation lists of client CA %s: %s", row.id, problem.message[:300])
            self._note(row, problem.message)
        else:
            self._note(row, "")

    async def _save(self, row: ClientCa, lists: str) -> None:
        """Raises Problem, also if somebody else edits it: then it is tried again."""
        if lists == row.revocation_lists:
            return
        fields = client_cas.fields_of(row)
        fields.revocation_lists = lists
        await client_cas.update(self.changes, AUTHOR, row.id or 0, fields, row.version)

    def _note(self, row: ClientCa, problem: str) -> None:
        known, now, urls = self.of(row), self.now(), tuple(row.revocation_list_urls)
        good_at = now if not problem else known.good_at if known else None
        failures = (known.failures if known else 0) + 1 if problem else 0
        self._downloads[row.id or 0] = ListDownload(urls, now, good_at, failures, problem)


def newest(row: ClientCa, bodies: Sequence[bytes]) -> str:
    """The row's lists, each replaced by the one of the same CA that was downloaded. Raises DownloadFailed if that is older, like
    one that is played back to have a revoked certificate accepted, and Invalid if a download can't be read."""
    stored, downloaded = read("", row.revocation_lists, ()), list[RevocationList]()
    for url, body in zip(row.revocation_list_urls, bodies, strict=True):
        lists = read("", "", [body]).lists
        if not lists:
            raise DownloadFailed(f"{url}: There is no revocation list.")
        downloaded += lists
    for before in stored.lists:
        if any(
            after.issuer == before.issuer and after.last_update_utc < before.last_update_utc for after in downloaded
        ):
            raise DownloadFailed(f"The revocation list of {called(before.issuer)} is older than the one that is used.")
    issuers = list(dict.fromkeys(each.issuer for each in (*stored.lists, *downloaded)))
    chosen = [
        each
        for issuer in issuers
        for each in [after for after in downloaded if after.issuer == issuer]
        or [before for before in stored.lists if before.issuer == issuer]
    ]
    return Authorities(lists=chosen).lists_pem
