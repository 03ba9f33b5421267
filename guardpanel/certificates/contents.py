"""The contents of certificates in the database: added, opened, retired, wiped."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import and_
from sqlmodel import col, func, or_, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.certificates import judging
from guardpanel.certificates.names import called
from guardpanel.certificates.reading import Parsed
from guardpanel.models.certificates.certificate import Certificate, Source
from guardpanel.models.certificates.certificate_content import LOCAL_AUTHORITY, LONG_AGO, CertificateContent
from guardpanel.sealing import TAG, KeyLost, Seal

FEW = 500
"Contents that are asked for by their ids. SQLite limits how many a query may name."

KEPT = timedelta(days=7)
"For which the key of a replaced or deleted certificate can be taken back."


@dataclass(frozen=True)
class CurrentContent:
    """What a certificate consists of now. `pem`: leaf, intermediates, key, for HAProxy. Empty if the master key does not open
    it: then what the live release holds goes on being served."""

    certificate_id: int
    source: Source
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    fingerprint: str
    "SHA-256, hexadecimal."
    serial: str
    pem: bytes = field(repr=False)
    revoked_at: datetime | None = None


def belongs() -> Any:
    """Whether a content is of the certificate in the same row of a query."""
    return and_(
        col(Certificate.id) == col(CertificateContent.certificate_id),
        col(Certificate.created_at) == col(CertificateContent.certificate_created_at),
    )


def newest() -> Any:
    """The id of the newest content of each certificate that is not retired."""
    ids = select(func.max(CertificateContent.id)).where(col(CertificateContent.retired_at).is_(None))
    return ids.group_by(col(CertificateContent.certificate_id), col(CertificateContent.certificate_created_at))


async def add_content(
    session: AsyncSession, seal: Seal, certificate: Certificate, parsed: Parsed
) -> CertificateContent:
    """A new current content. Call it after the row's `touch`: the content is rolled back with this version of the row."""
    content = CertificateContent(
        certificate_id=certificate.id or 0,
        certificate_created_at=certificate.created_at,
        certificate_version=certificate.version,
        source=certificate.source.value,
        chain=parsed.chain_pem,
        key_type=judging.key_type(parsed.leaf.public_key()),
        fingerprint=parsed.fingerprint,
        serial=parsed.serial,
        names=list(parsed.names),
        not_before=parsed.leaf.not_valid_before_utc,
        not_after=parsed.leaf.not_valid_after_utc,
        issuer=called(parsed.leaf.issuer),
        notices=[*parsed.warnings, *parsed.notices],
    )
    session.add(content)
    await session.flush()
    content.sealed_key = seal.seal(parsed.key_pem, content.place)
    session.add(content)
    await session.flush()
    return content


async def add_local_authority(session: AsyncSession, seal: Seal, parsed: Parsed) -> CertificateContent:
    """It has no row among the certificates."""
    row = Certificate(id=LOCAL_AUTHORITY, name="", source=Source.LOCAL_CA, version=0, created_at=LONG_AGO)
    return await add_content(session, seal, row, parsed)


async def current(session: AsyncSession, certificate_id: int) -> CertificateContent | None:
    """Also of the local authority."""
    if certificate_id != LOCAL_AUTHORITY:
        return (await current_of(session, [certificate_id])).get(certificate_id)
    query = select(CertificateContent).where(col(CertificateContent.id).in_(newest()))
    return (await session.exec(query.where(CertificateContent.certificate_id == LOCAL_AUTHORITY))).first()


async def current_of(
    session: AsyncSession, certificate_ids: Sequence[int] | None = None
) -> dict[int, CertificateContent]:
    """By certificate. None: of all certificates."""
    query = select(CertificateContent).join(Certificate, belongs()).where(col(CertificateContent.id).in_(newest()))
    if certificate_ids is not None:
        query = query.where(col(CertificateContent.certificate_id).in_(certificate_ids))
    return {row.certificate_id: row for row in (await session.exec(query)).all()}


class CurrentContents:
    """What all certificates consist of now, each opened once: every save asks for them."""

    def __init__(self, seal: Seal) -> None:
        self.seal = seal
        self._stored = ""
        self._opened: dict[str, CurrentContent] = {}
        "By what is stored of each. A restored backup may give an id to another one, which is sealed differently."
        self._current: tuple[CurrentContent, ...] = ()
        "Of all of these."

    async def of(self, session: AsyncSession, stored: str | None = None) -> tuple[CurrentContent, ...]:
        """Of all certificates that have one, by certificate id. The same tuple as long as nothing changed. `stored`: what STORED
        says, if it was asked."""
        if stored is None:
            stored = (await session.exec(STORED)).one() or ""
        if stored == self._stored and all(content.pem for content in self._current):
            return self._current
        known = {line: content for line, content in self._opened.items() if content.pem}
        ordered = sorted((json.loads(line)[:2], line) for line in stored.splitlines())
        lines = {certificate_id: line for (certificate_id, _), line in ordered}
        new = {line: json.loads(line)[1:3] for line in lines.values() if line not in known}
        rows = await _rows(session, [number for number, _ in new.values()])
        known |= {line: _opened(rows[number], Source(source), self.seal) for line, (number, source) in new.items()}
        self._opened = {line: known[line] for line in lines.values()}
        self._stored, self._current = stored, tuple(self._opened.values())
        return self._current


def _lines() -> Any:
    """Of each content that is not retired a line: certificate, id, and what may change, as stored. One text of all, since each
    save compares a thousand."""
    what = (
        Certificate.source,
        CertificateContent.revoked_at,
        CertificateContent.not_before,
        CertificateContent.not_after,
    )
    stored = Certificate.id, CertificateContent.id, *what, func.hex(func.substr(CertificateContent.sealed_key, -TAG))
    lines = select(func.json_array(*stored).label("line")).join(CertificateContent, belongs())
    lines = lines.where(col(CertificateContent.retired_at).is_(None))
    ordered = lines.order_by(col(Certificate.id), col(CertificateContent.id)).subquery()
    return select(func.group_concat(ordered.c.line, "\n"))


STORED = _lines()


async def _rows(session: AsyncSession, ids: Sequence[int]) -> dict[int, CertificateContent]:
    if not ids:
        return {}
    query = select(CertificateContent).where(col(CertificateContent.id).in_(ids if len(ids) <= FEW else newest()))
    return {row.id or 0: row for row in (await session.exec(query)).all()}


async def revoked(session: AsyncSession) -> frozenset[int]:
    """The certificates whose current content is revoked."""
    is_revoked = col(CertificateContent.revoked_at).is_not(None)
    current = select(CertificateContent.certificate_id).where(is_revoked, col(CertificateContent.id).in_(newest()))
    return frozenset((await session.exec(current)).all())


def _opened(content: CertificateContent, source: Source, seal: Seal) -> CurrentContent:
    try:
        pem = content.chain.encode() + key_of(content, seal)
    except KeyLost:
        pem = b""
    return CurrentContent(
        content.certificate_id, source, tuple(content.names), content.not_before, content.not_after,
        content.fingerprint, content.serial, pem, content.revoked_at,
    )  # fmt: skip


def key_of(content: CertificateContent, seal: Seal) -> bytes:
    """Its private key as PEM. Raises KeyLost (503)."""
    if content.sealed_key is None:
        raise KeyLost
    return seal.open(content.sealed_key, content.place)


async def all_of(session: AsyncSession, certificate_id: int) -> list[CertificateContent]:
    """Newest first."""
    query = select(CertificateContent).join(Certificate, belongs())
    query = query.where(CertificateContent.certificate_id == certificate_id)
    return list((await session.exec(query.order_by(col(CertificateContent.id).desc()))).all())


async def retire_rolled_back(session: AsyncSession) -> None:
    """Those that came with an edit of their certificate's row that was taken back: the previous ones are current again."""
    version = select(Certificate.version).where(belongs()).correlate(CertificateContent).scalar_subquery()
    taken_back = col(CertificateContent.certificate_version) > version
    statement = update(CertificateContent).where(taken_back, col(CertificateContent.retired_at).is_(None))
    await session.exec(statement.values(retired_at=datetime.now(UTC), sealed_key=None))


async def wipe_old(session: AsyncSession, now: datetime) -> None:
    """Retire what was replaced, and wipe keys that are not used any more, or whose certificate was deleted, for a week."""
    its = select(Certificate.id).where(belongs()).correlate(CertificateContent).exists()
    there = or_(its, col(CertificateContent.certificate_id) == LOCAL_AUTHORITY)
    replaced = col(CertificateContent.retired_at).is_(None), col(CertificateContent.id).not_in(newest())
    await session.exec(update(CertificateContent).where(*replaced).values(retired_at=now))
    orphaned = col(CertificateContent.orphaned_at)
    await session.exec(update(CertificateContent).where(~there, orphaned.is_(None)).values(orphaned_at=now))
    await session.exec(update(CertificateContent).where(there, orphaned.is_not(None)).values(orphaned_at=None))
    old = or_(col(CertificateContent.retired_at) < now - KEPT, orphaned < now - KEPT)
    unneeded = update(CertificateContent).where(old, col(CertificateContent.sealed_key).is_not(None))
    await session.exec(unneeded.values(sealed_key=None))
