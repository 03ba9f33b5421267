"""Hostnames get other certificates when one expires, is revoked or becomes valid: a save chooses, and time goes on without one.
What is not valid yet replaces nothing that is."""

import logging
from collections.abc import Collection
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.certificates import contents
from guardpanel.certificates.reading import Parsed
from guardpanel.certificates.served import ServedCertificates
from guardpanel.errors import FieldError, Invalid, NeedsConfirmation
from guardpanel.models import CertificateContent
from guardpanel.services.saving.changes import Change, Changes, SaveRequest

log = logging.getLogger(__name__)


def is_outdated(certificates: ServedCertificates, revoked: Collection[int], now: datetime) -> bool:
    """Whether one of them expired, was revoked or became valid since they were chosen from. `revoked`: by id, now."""
    return any(
        candidate.is_valid(certificates.at) != candidate.is_valid(now)
        or (candidate.revoked_at is not None) != (candidate.certificate_id in revoked)
        for candidate in certificates.all
    )


async def choose_again(changes: Changes, now: datetime) -> None:
    """Only if it is due, and not over what was changed outside guardpanel. Raises what `Changes.save` raises."""
    by_hand = any(not drift.ours for drift in changes.watch.drift)
    async with changes.database.read() as session:
        revoked = await contents.revoked(session)
    if by_hand or not is_outdated(changes.renderer.facts.certificates, revoked, now):
        return
    words = "Chose certificates again, since one expired, was revoked or became valid"
    saved = await changes.save(Change(SaveRequest("guardpanel"), words, quiet=True), _nothing)
    if saved.is_new:
        log.info("%s: revision %d", words, saved.revision)


async def _nothing(_: AsyncSession) -> None:
    """The rows stay as they are."""


def gap(before: CertificateContent | None, parsed: Parsed, now: datetime) -> str:
    """If it would end the use of a valid one before it is valid itself, says so."""
    begins = parsed.leaf.not_valid_before_utc
    if before is not None and before.not_before <= now < before.not_after and begins > now:
        return f"It is valid from {begins:%Y-%m-%d %H:%M} UTC, and would replace one that is valid now."
    return ""


def must_not_leave_a_gap(before: CertificateContent | None, parsed: Parsed, now: datetime) -> None:
    """Raises Invalid (422) at the field."""
    if words := gap(before, parsed, now):
        instead = "Add it as another certificate: hostnames get it when the present one has expired"
        raise Invalid.at("certificate", f"{words} {instead}, or replace this one then.")


def must_be_confirmed(warnings: list[str], *, is_confirmed: bool) -> None:
    """Raises NeedsConfirmation (409)."""
    if warnings and not is_confirmed:
        words = " ".join(warnings)
        raise NeedsConfirmation(words, {"certificate": FieldError(words)})
