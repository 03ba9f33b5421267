"""Certificates: uploaded, made here, replaced and renewed. Nothing is stored that was not read and judged before."""

import asyncio
import base64
import binascii
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Unpack

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.acme.client import Binding
from guardpanel.certificates import contents, making
from guardpanel.certificates.names import covers, day
from guardpanel.certificates.pem import Material
from guardpanel.certificates.reading import Parsed, parse
from guardpanel.dns_settings import NO_DNS
from guardpanel.errors import FieldError, Invalid, Stale
from guardpanel.field_codes import FieldCode
from guardpanel.models import Certificate, CertificateContent, Hostname
from guardpanel.models.certificates.certificate import NOUN, CertificateFields, CertificateInput, Source
from guardpanel.models.certificates.certificate_content import LOCAL_AUTHORITY
from guardpanel.models.certificates.issuing import Challenge
from guardpanel.models.hostname import UNNAMED
from guardpanel.models.noun import KEPT
from guardpanel.sealing import KeyLost, Seal
from guardpanel.services import certificate_uses, same_names
from guardpanel.services.certificate_choices import must_be_confirmed, must_not_leave_a_gap
from guardpanel.services.crud import Crud
from guardpanel.services.issuing.accounts import bind, bound_authority, must_be_whole
from guardpanel.services.paging import Page, Paging, holds
from guardpanel.services.saving.changes import Change, Changes, SaveRequest, SaveResult

SORTS = {
    "name": col(Certificate.name),
    "changed": col(Certificate.updated_at),
    "expiry": select(CertificateContent.not_after)
    .where(contents.belongs(), col(CertificateContent.retired_at).is_(None))
    .correlate(Certificate)
    .order_by(col(CertificateContent.id).desc())
    .limit(1)
    .scalar_subquery(),
}


UPLOADED = ("certificate", "private_key", "file", "password")


class Ready(CertificateInput):
    """The input with what was read from it. `renewed`: made anew although no field changed."""

    parsed: Any = None
    renewed: bool = False


class Certificates(Crud[Certificate, CertificateFields]):
    async def page(
        self, session: AsyncSession, *, q: str = "", source: Source | None = None, **paging: Unpack[Paging]
    ) -> Page[Certificate]:
        """Those whose name, names or issuer contain `q`."""
        wanted = select(Certificate)
        if q:
            in_content = select(CertificateContent.certificate_id).where(
                holds(q, CertificateContent.names, CertificateContent.issuer, CertificateContent.serial),
                col(CertificateContent.retired_at).is_(None),
            )
            wanted = wanted.where(holds(q, Certificate.name, Certificate.names) | col(Certificate.id).in_(in_content))
        if source is not None:
            wanted = wanted.where(col(Certificate.source) == source)
        return await self.listed(session, wanted, SORTS, **paging)

    async def create(
        self, changes: Changes, request: SaveRequest, fields: CertificateFields
    ) -> SaveResult[Certificate]:
        return await super().create(changes, request, await self._ready(changes, fields, None))

    async def update(
        self, changes: Changes, request: SaveRequest, number: int, fields: CertificateFields, version: int | None = None
    ) -> SaveResult[Certificate]:
        return await super().update(changes, request, number, await self._ready(changes, fields, number), version)

    async def file_values(self, session: AsyncSession, row: Certificate) -> dict[str, Any]:
        kept = dict.fromkeys(self.noun.apart, KEPT) if row.source is Source.UPLOAD else {}
        return await super().file_values(session, row) | kept

    async def renew(self, changes: Changes, request: SaveRequest, number: int) -> SaveResult[Certificate]:
        """A new certificate with a new key for the same names. Raises Invalid (422) if it is not made here."""

        def made_anew(row: Certificate) -> Ready:
            if not row.source.is_made_here:
                raise Invalid("Only self-signed certificates and those of the local CA are made here.")
            return Ready(**self.fields_of(row).model_dump(), renewed=True)

        return await self.refill(changes, request, number, made_anew)

    async def refill(
        self, changes: Changes, request: SaveRequest, number: int, ready_of: Callable[[Certificate], Ready]
    ) -> SaveResult[Certificate]:
        """Another content for the row as it is. An edit that is saved while this waits is read anew, never taken back."""
        for is_last in (False, False, True):
            async with changes.database.read() as session:
                row = await self.find(session, number)
            try:
                return await super().update(changes, request, number, ready_of(row), row.version)
            except Stale:
                if is_last:
                    raise
        raise AssertionError

    async def also(
        self,
        session: AsyncSession,
        row: Certificate,
        fields: CertificateFields,
        seal: Seal,
        change: Change,  # noqa: ARG002
    ) -> str:
        """The content."""
        if isinstance(fields, CertificateInput) and fields.eab_key and row.source is Source.ACME:
            await bind(session, seal, bound_authority(fields, row), Binding(fields.eab_key_id or "", fields.eab_key))
        parsed = fields.parsed if isinstance(fields, Ready) else None
        if parsed is None and row.source.is_made_here:
            parsed = await self._made(session, row, seal, anew=isinstance(fields, Ready) and fields.renewed)
        if parsed is not None:
            await contents.add_content(session, seal, row, parsed)
        await session.refresh(row, ["content"])  # Also of a new row without one: it is shown after the session.
        if parsed is None:
            return ""
        return f"new certificate until {day(parsed.leaf.not_valid_after_utc)}"

    async def _made(self, session: AsyncSession, row: Certificate, seal: Seal, *, anew: bool) -> Parsed | None:
        """None if the current one is what the row asks for."""
        content = await contents.current(session, row.id or 0)
        if not anew and content is not None and content.sealed_key and is_as_wanted(content, row):
            return None
        now = datetime.now(UTC)
        if row.source is Source.SELF_SIGNED:
            return await asyncio.to_thread(making.self_signed, row.names, row.key_type, now)
        authority = await local_authority(session, seal)
        return await asyncio.to_thread(making.by_authority, row.names, row.key_type, authority, now)

    async def _ready(self, changes: Changes, fields: CertificateFields, number: int | None) -> Ready:
        """Read and judged. Raises Invalid (422) with words at the field, and NeedsConfirmation (409)."""
        sent = fields if isinstance(fields, CertificateInput) else CertificateInput(**fields.model_dump())
        material, content = material_of(sent), None
        before = None
        if number is not None:
            async with changes.database.read() as session:
                content, before = await contents.current(session, number), await self.find(session, number)
                content = content if before.source is Source.UPLOAD else None
        if not changes.renderer.facts.proves_by_dns:
            must_not_begin_dns(sent, before)
        must_be_whole(sent, is_ordered=sent.source is Source.ACME)
        ready = Ready.model_construct(None, **dict(sent), parsed=None, renewed=False)
        if sent.source is not Source.UPLOAD:
            must_be_empty(sent)
            async with changes.database.read() as session:
                await same_names.must_be_meant(session, sent, before)
            return ready
        if material.is_empty and content is None:
            raise Invalid.at("certificate", "Required: paste the certificate, or choose a file.", FieldCode.REQUIRED)
        if material.is_empty:
            return ready
        known = _known_key(content, changes.seal)
        ready.parsed = await asyncio.to_thread(parse, material, datetime.now(UTC), known)
        must_not_leave_a_gap(content, ready.parsed, datetime.now(UTC))
        if ready.name == UNNAMED:
            ready.name = ready.parsed.names[0][:100]
        async with changes.database.read() as session:
            lost = await uncovered(session, content, ready.parsed)
        must_be_confirmed([*ready.parsed.warnings, *lost], is_confirmed=bool(sent.save_anyway))
        return ready


# Uses are shown wherever certificates are.
used_by = certificate_uses.used_by

ROWS = Certificates(NOUN, Certificate, CertificateFields)

page, find, create, update, delete = ROWS.page, ROWS.find, ROWS.create, ROWS.update, ROWS.delete
fields_of, renew = ROWS.fields_of, ROWS.renew


def is_as_wanted(content: CertificateContent, row: Certificate) -> bool:
    """Of one that is made here."""
    return (content.source, content.names, content.key_type) == (row.source, row.names, row.key_type.word)


def material_of(sent: CertificateInput) -> Material:
    """Raises Invalid (422) if a file is not Base64."""
    try:
        files = tuple(base64.b64decode(line, validate=True) for line in (sent.file or "").split())
    except (binascii.Error, ValueError):
        raise Invalid.at("file", "This is not Base64.") from None
    return Material((sent.certificate or "").encode(), (sent.private_key or "").encode(), files, sent.password or "")


def must_be_empty(sent: CertificateInput) -> None:
    """What only an upload has. Raises Invalid (422) at each field."""
    words = "Only an uploaded certificate has this: choose another source, or leave it out."
    errors = {name: FieldError(words) for name in UPLOADED if getattr(sent, name)}
    if errors:
        raise Invalid(words, errors)


def must_not_begin_dns(sent: CertificateFields, before: Certificate | None) -> None:
    """Where it is not set up, although an edit may keep it. Raises Invalid (422)."""
    known = before.challenge if before is not None and before.source is Source.ACME else None
    if sent.source is Source.ACME and sent.challenge is Challenge.DNS_01 is not known:
        raise Invalid.at("challenge", NO_DNS)


async def uncovered(session: AsyncSession, before: CertificateContent | None, parsed: Parsed) -> list[str]:
    """Hostnames of virtual hosts that the content before covers and the new one does not."""
    if before is None:
        return []
    hostnames = (await session.exec(select(Hostname.name).order_by(Hostname.name))).all()
    lost = [name for name in hostnames if covers(before.names, name) and not covers(parsed.names, name)]
    if not lost:
        return []
    more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
    return [f"It covers {', '.join(parsed.names[:3])}, and no longer {', '.join(lost[:3])}{more}."]


async def local_root(session: AsyncSession) -> CertificateContent | None:
    """The certificate of the local CA, if there is one yet."""
    return await contents.current(session, LOCAL_AUTHORITY)


async def local_authority(session: AsyncSession, seal: Seal) -> Parsed:
    """Made when it is first needed, and again if it ends soon or its key was lost: browsers must then trust the new root."""
    now, content = datetime.now(UTC), await contents.current(session, LOCAL_AUTHORITY)
    key = _known_key(content, seal)
    if content is not None and key and content.not_after > now + making.LIFETIME:
        return making.stored_authority(content.chain, key)
    authority = making.authority(now)
    await contents.add_local_authority(session, seal, authority)
    return authority


def _known_key(content: CertificateContent | None, seal: Seal) -> bytes:
    """Empty if there is none, or if it can't be opened."""
    if content is None:
        return b""
    try:
        return contents.key_of(content, seal)
    except KeyLost:
        return b""
