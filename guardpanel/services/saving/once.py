"""Requests with an idempotency key: carried out once, however often they are sent.

The key is stored before the request is carried out, and a save writes its attempt next to it in its own transaction. So after a
kill, a repeated request finds out whether its change went live.
"""

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlmodel import col, delete, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.database import Database
from guardpanel.errors import Conflict, Invalid, NotFound
from guardpanel.models import Deployment, IdempotencyKey
from guardpanel.models.revision import Outcome

KEPT = timedelta(hours=24)
MOST = 1_000
"Keys, and as many jobs without one. Older ones are forgotten."

KEYLESS = "job-"
"What the digest of a job without a key begins with."

LARGEST = 64 * 1024
"Bytes of an answer's body that is stored."

MOST_LARGE = 8
"Larger ones are kept in memory: the newest."


class InProgress(Conflict):
    """The same request, by its idempotency key, is being carried out."""

    code = "in_progress"

    def __init__(self, job: int) -> None:
        super().__init__("This request is in progress. Send it again later.")
        self.job = job
        "Its number. 0: it is not a job."


class AnswerLost(Conflict):
    """The same request, by its idempotency key, was carried out, and its answer is not stored."""

    code = "answer_lost"


@dataclass(frozen=True)
class Answered:
    """What a request got when it was carried out."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Job:
    """A request that is carried out after its response."""

    number: int
    request: str
    "`PUT /api/v1/address-lists/7/entries`"
    created_at: datetime
    change_id: int | None
    status: int | None
    answered: Answered | None
    "None: it has not ended, or its answer is no longer stored."
    is_running: bool
    is_interrupted: bool
    "The panel was stopped before it ended, and no change is live."


class Once:
    def __init__(self, database: Database) -> None:
        self.database = database
        self._running: set[int] = set()
        self._large: OrderedDict[int, bytes] = OrderedDict()

    async def begin(self, who: str, key: str | None, content: bytes, job: str = "") -> int | Answered:
        """The number of a request to carry out, or what it got before. Raises Invalid (422) if the key was sent with other
        content, and Conflict (409) while it is carried out, or if its answer was lost. `job`: the request, if it is one."""
        digest = f"{KEYLESS}{secrets.token_hex(16)}" if key is None else _digest(f"{who}\0{key}".encode())
        wanted = _digest(content)
        async with self.database.write() as session:
            row = (await session.exec(select(IdempotencyKey).where(col(IdempotencyKey.digest) == digest))).first()
            if row is not None and row.created_at > datetime.now(UTC) - KEPT:
                answered = await self._earlier(session, row, wanted)
                if answered is not None:
                    return answered
            else:
                await self._forget_old(session, digest)
                row = IdempotencyKey(digest=digest, content=wanted)
            row.change_id = row.status = row.body = None
            row.created_at = datetime.now(UTC)
            row.job_of, row.job_request = who if job else "", job
            session.add(row)
            await session.flush()
            number = row.id or 0
            self._running.add(number)
        return number

    async def end(self, number: int, answered: Answered) -> None:
        """Keep the answer of a request that succeeded. One that failed saved nothing, and may be tried again."""
        if answered.status < 400:
            await self.keep(number, answered)
            return
        try:
            await self._give_up(number)
        finally:
            self.leave(number)

    async def keep(self, number: int, answered: Answered) -> None:
        """Keep the answer of a job, also of one that failed. Not of one that failed after its change was live: to those who read
        or repeat it, it was carried out."""
        try:
            body = answered.body if len(answered.body) <= LARGEST else None
            if body is None:
                self._large[number] = answered.body
                while len(self._large) > MOST_LARGE:
                    self._large.popitem(last=False)
            values = {"status": answered.status, "headers": dict(answered.headers), "body": body}
            async with self.database.write() as session:
                row = await session.get(IdempotencyKey, number)
                if row is not None and (answered.status < 400 or await _outcome(session, row) is not Outcome.LIVE):
                    row.sqlmodel_update(values)
                    session.add(row)
        finally:
            self.leave(number)

    def leave(self, number: int) -> None:
        """It ended without an answer."""
        self._running.discard(number)

    async def job(self, session: AsyncSession, number: int, who: str) -> Job:
        """One of theirs. Raises NotFound (404)."""
        row = await session.get(IdempotencyKey, number)
        if row is None or not row.job_of or row.job_of != who:
            raise NotFound("Job not found. Jobs are kept for 24 hours.")
        outcome, answered = await _outcome(session, row), self._answered(row)
        is_running = row.status is None and (number in self._running or outcome is Outcome.DEPLOYING)
        is_unknown = row.status is None and not is_running
        return Job(
            number, row.job_request, row.created_at, row.change_id, row.status, answered, is_running,
            is_interrupted=is_unknown and outcome is not Outcome.LIVE,
        )  # fmt: skip

    def _answered(self, row: IdempotencyKey) -> Answered | None:
        body = self._large.get(row.id or 0) if row.body is None else row.body
        return None if row.status is None or body is None else Answered(row.status, row.headers, body)

    async def _earlier(self, session: AsyncSession, row: IdempotencyKey, content: str) -> Answered | None:
        """None: it did not change anything, and is to be carried out."""
        if row.content != content:
            raise Invalid.at("idempotency-key", "This key was sent with another request. Use a new one.", part="header")
        if row.status is not None and row.status >= 400:  # A job that failed.
            return None
        if answered := self._answered(row):
            return answered
        outcome = await _outcome(session, row)
        if row.id in self._running or outcome is Outcome.DEPLOYING:
            raise InProgress(row.id or 0 if row.job_of else 0)
        if row.status is not None or outcome is Outcome.LIVE:
            named = f" as change {row.change_id}" if row.change_id else ""
            raise AnswerLost(f"This request was carried out{named}. Its answer is no longer stored.")
        return None

    async def _give_up(self, number: int) -> None:
        async with self.database.write() as session:
            row = await session.get(IdempotencyKey, number)
            if row is not None and await _outcome(session, row) is not Outcome.LIVE:
                await session.delete(row)

    async def _forget_old(self, session: AsyncSession, digest: str) -> None:
        """What is in progress stays."""
        has_key = col(IdempotencyKey.digest).not_like(f"{KEYLESS}%")
        is_alike = ~has_key if digest.startswith(KEYLESS) else has_key
        ids = select(IdempotencyKey.id).where(is_alike).order_by(col(IdempotencyKey.id).desc())
        is_beyond = is_alike & (col(IdempotencyKey.id) <= ids.offset(MOST - 1).limit(1).scalar_subquery())
        is_old = (
            (col(IdempotencyKey.created_at) < datetime.now(UTC) - KEPT)
            | is_beyond
            | (col(IdempotencyKey.digest) == digest)
        )
        await session.exec(delete(IdempotencyKey).where(is_old, col(IdempotencyKey.id).not_in(self._running)))


async def mark(session: AsyncSession, number: int | None, change_id: int) -> None:
    """Write a save's attempt next to the key of its request, in the save's transaction."""
    if number is not None:
        chosen = col(IdempotencyKey.id) == number
        await session.exec(update(IdempotencyKey).where(chosen).values(change_id=change_id))


async def _outcome(session: AsyncSession, row: IdempotencyKey) -> Outcome | None:
    """Of its save. One that is no longer stored went live: only these get old."""
    if row.change_id is None:
        return None
    outcomes = await session.exec(select(Deployment.outcome).where(col(Deployment.id) == row.change_id))
    return Outcome(outcomes.first() or Outcome.LIVE)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
