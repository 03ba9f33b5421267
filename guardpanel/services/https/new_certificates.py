"""A certificate that is saved with a virtual host, for its hostnames: ordered, made here, or pasted."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.certificates import contents
from guardpanel.certificates.names import covers
from guardpanel.certificates.pem import Material
from guardpanel.certificates.reading import Parsed, parse
from guardpanel.dns_settings import NO_DNS
from guardpanel.errors import FieldError, Invalid
from guardpanel.field_codes import FieldCode
from guardpanel.models import Certificate, VirtualHost
from guardpanel.models.certificates.certificate import CertificateFields, CertificateInput, Source, is_address
from guardpanel.models.certificates.issuing import Challenge, NewCertificate
from guardpanel.models.virtual_host import VirtualHostFields, VirtualHostInput
from guardpanel.sealing import Seal
from guardpanel.services import certificate_choices, certificate_uses, certificates, same_names
from guardpanel.services.input import validated
from guardpanel.services.saving import revisions
from guardpanel.services.saving.changes import Change
from guardpanel.services.saving.https_rules import in_few_words

PASTED = ("certificate", "private_key")

ENCRYPTED = "The private key is encrypted. Paste it decrypted, as openssl pkey -in key.pem prints it."


class Ready(VirtualHostInput):
    """The input with what was read from it."""

    parsed: Any = None

    @property
    def is_asked_for(self) -> bool:
        return self.new_certificate not in {None, NewCertificate.NONE}


async def ready_of(sent: VirtualHostFields, *, proves_by_dns: bool) -> Ready:
    """With HTTPS, if it gets a certificate. Raises Invalid (422) and NeedsConfirmation (409) with words at the field."""
    ready = Ready.model_construct(None, **dict(sent))
    if ready.new_certificate is not NewCertificate.UPLOAD:
        words = "Only an upload has this. Choose it as the new certificate, or leave this out."
        errors = {name: FieldError(words) for name in PASTED if getattr(ready, name)}
        if errors:
            raise Invalid(words, errors)
    if not ready.is_asked_for:
        return ready
    ready.https = True
    if ready.new_certificate is NewCertificate.UPLOAD:
        if not ready.certificate:
            raise Invalid.at("certificate", "Required: paste the certificate.", FieldCode.REQUIRED)
        material = Material(ready.certificate.encode(), (ready.private_key or "").encode())
        ready.parsed = await asyncio.to_thread(_parsed, material)
        if not any(covers(ready.parsed.names, name) for name in ready.hostnames):
            words = f"It covers {in_few_words(ready.parsed.names)}, and none of the hostnames. Paste one that does."
            raise Invalid.at("certificate", words)
        certificate_choices.must_be_confirmed([*ready.parsed.warnings], is_confirmed=bool(ready.save_anyway))
    is_by_dns = fields_of_new(ready, "new").challenge is Challenge.DNS_01
    if is_by_dns and ready.new_certificate is NewCertificate.ACME and not proves_by_dns:
        raise Invalid.at("new_certificate", f"An authority issues wildcards by DNS-01 alone. {NO_DNS}")
    return ready


def _parsed(material: Material) -> Parsed:
    """There is no field for a password beside it."""
    try:
        return parse(material, datetime.now(UTC))
    except Invalid as invalid:
        if "password" in invalid.errors:
            raise Invalid.at("private_key", ENCRYPTED) from invalid
        raise


def fields_of_new(ready: Ready, name: str) -> CertificateFields:
    """Raises Invalid (422) if there can be no such certificate for these hostnames."""
    source = Source(str(ready.new_certificate))
    is_wildcard = any(hostname.startswith("*.") for hostname in ready.hostnames)
    given: dict[str, Any] = {"name": name, "source": source}
    if source is not Source.UPLOAD:
        given["names"] = ready.hostnames
    if source is Source.ACME:
        challenge = Challenge.DNS_01 if is_wildcard else Challenge.HTTP_01
        given |= {"authority": ready.new_authority, "challenge": challenge}
    try:
        return validated(CertificateFields, given)
    except Invalid as invalid:
        words = " ".join(dict.fromkeys(error.message for error in invalid.errors.values()))
        raise Invalid.at("new_certificate", words or invalid.message) from invalid


async def add(session: AsyncSession, host: VirtualHost, ready: Ready, seal: Seal, change: Change) -> str:
    """In the transaction of the save. An uploaded one that was chosen before is replaced, if nothing else loses by it. Returns
    words for the changes."""
    known = await session.get(Certificate, host.certificate_id) if host.certificate_id is not None else None
    if known is not None and ready.parsed is not None and await _can_be_replaced(session, known, host, ready):
        known.touch(await revisions.version_after(session, known.version))
        await contents.add_content(session, seal, known, ready.parsed)
        change.added.append(f"certificate:{known.id}")
        return "certificate replaced"
    if known is not None and ready.parsed is None and known.source.value == ready.new_certificate:
        if _is_as_asked(known, ready):
            return ""
        if await _is_its_own(session, known, known.source, host):
            return await _widened(session, known, ready, seal, change)
    if ready.new_certificate is NewCertificate.ACME:
        ordered = await same_names.ordered_for(session, ready.hostnames)
        if ordered is not None and _is_as_asked(ordered, ready):
            await _choose(session, host, ordered)
            return f"certificate {ordered.name}"
    return await _new(session, host, ready, seal, change)


async def _new(session: AsyncSession, host: VirtualHost, ready: Ready, seal: Seal, change: Change) -> str:
    row = Certificate().replace(fields_of_new(ready, await _free_name(session, host.name)))
    session.add(row)
    await session.flush()
    await certificates.ROWS.also(session, row, _input(row, ready.parsed), seal, change)
    await _choose(session, host, row)
    change.added.append(f"certificate:{row.id}")
    return f"new certificate {row.name}"


async def _choose(session: AsyncSession, host: VirtualHost, row: Certificate) -> None:
    host.certificate_id = row.id
    session.add(host)
    await session.flush()


def _is_as_asked(known: Certificate, ready: Ready) -> bool:
    """Asked again, for example by HTTPS that was off in between: it is there, or ordered, already."""
    is_covered = all(covers(known.names, name) for name in ready.hostnames)
    return is_covered and (known.source is not Source.ACME or ready.new_authority in known.authorities)


async def _widened(session: AsyncSession, known: Certificate, ready: Ready, seal: Seal, change: Change) -> str:
    """For other hostnames, or from another authority. A second one would be renewed unused beside it."""
    known.names = list(ready.hostnames)
    if known.source is Source.ACME:
        if ready.new_authority and ready.new_authority not in known.authorities:
            known.authority = ready.new_authority
        if known.challenge is Challenge.HTTP_01 or any(map(is_address, known.names)):
            known.challenge = fields_of_new(ready, known.name).challenge
    known.touch(await revisions.version_after(session, known.version))
    session.add(known)
    await certificates.ROWS.also(session, known, _input(known, None), seal, change)
    change.added.append(f"certificate:{known.id}")
    return f"certificate {known.name} for its hostnames"


async def _can_be_replaced(session: AsyncSession, known: Certificate, host: VirtualHost, ready: Ready) -> bool:
    """Not before the new pair is valid, nor while a hostname needs the present one: the new one is another certificate then."""
    current = await contents.current(session, known.id or 0)
    present = current.names if current else ()
    is_lost = any(covers(present, name) and not covers(ready.parsed.names, name) for name in ready.hostnames)
    is_its_own = await _is_its_own(session, known, Source.UPLOAD, host)
    return is_its_own and not is_lost and not certificate_choices.gap(current, ready.parsed, datetime.now(UTC))


async def _is_its_own(session: AsyncSession, known: Certificate, source: Source, host: VirtualHost) -> bool:
    """Whether it came from there, and neither another virtual host nor the traffic settings use it."""
    if known.source is not source:
        return False
    number = known.id or 0
    used = (await certificate_uses.used_by(session, [known])).get(number, [])
    return len(await certificate_uses.chosen_for(session, number)) <= 1 and {user for user, _ in used} <= {host.id}


def _input(row: Certificate, parsed: Parsed | None) -> CertificateInput:
    fields = CertificateInput(**certificates.fields_of(row).model_dump())
    return certificates.Ready.model_construct(None, **dict(fields), parsed=parsed, renewed=False)


async def _free_name(session: AsyncSession, name: str) -> str:
    """`shop.example`, or `shop.example 2`."""
    taken = set((await session.exec(select(func.lower(Certificate.name)))).all())
    names = (name if number == 1 else f"{name[:90]} {number}" for number in range(1, len(taken) + 2))
    return next(free for free in names if free.lower() not in taken)
