"""Two certificates from authorities for the same names: a hostname gets one of them, and both are ordered and renewed."""

from collections.abc import Sequence

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import FieldError, NeedsConfirmation
from guardpanel.models import Certificate
from guardpanel.models.certificates.certificate import CertificateInput, Source


async def ordered_for(session: AsyncSession, names: Sequence[str], but: int | None = None) -> Certificate | None:
    """The oldest one from an authority for exactly these names, apart from `but`. Not a revoked one: it may be out of use."""
    query = select(Certificate.id, Certificate.names).where(Certificate.source == Source.ACME)
    for number, others in (await session.exec(query.order_by(col(Certificate.id)))).all():
        if number != but and {*others} == {*names}:
            row = await session.get_one(Certificate, number)
            if row.content is None or row.content.revoked_at is None:
                return row
    return None


async def must_be_meant(session: AsyncSession, sent: CertificateInput, before: Certificate | None) -> None:
    """Raises NeedsConfirmation (409) for what this save adds."""
    if sent.source is not Source.ACME or sent.save_anyway:
        return
    if before is not None and before.source is Source.ACME and {*before.names} == {*sent.names}:
        return
    other = await ordered_for(session, sent.names, before.id if before else None)
    if other is not None:
        words = f"{other.name} has the same names. A hostname gets one of the two, and authorities count both."
        raise NeedsConfirmation(words, {"names": FieldError(words)})
