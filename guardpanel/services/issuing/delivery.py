"""What an authority issued becomes the content of its certificate."""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.certificates import contents
from guardpanel.certificates.reading import Parsed, parse_pem
from guardpanel.models.acme import AcmeOrder
from guardpanel.models.certificate import Certificate
from guardpanel.services.saving import revisions
from guardpanel.services.saving.change import Change, SaveRequest
from guardpanel.services.saving.changes import Changes

AUTHOR = "guardpanel"


async def deliver(changes: Changes, row: AcmeOrder, now: datetime) -> str:
    """Returns what became of it, as a sentence. Raises Problem if it could not be put into use: it can be tried again."""
    key = changes.seal.open(row.sealed_key or b"", row.place).decode()
    parsed = parse_pem(row.chain, key, now)
    async with changes.database.read() as session:
        certificate = await session.get(Certificate, row.certificate_id)
        known = await contents.current(session, row.certificate_id)
    if certificate is None:
        return "Its certificate was deleted meanwhile."
    if known is not None and known.fingerprint == parsed.fingerprint:
        return "In use."
    change = Change(SaveRequest(AUTHOR), _summary(certificate, known is not None), "certificate", row.certificate_id)

    async def mutate(session: AsyncSession) -> None:
        await _replace(session, changes, row.certificate_id, parsed)

    saved = await changes.save(change, mutate)
    return f"{saved.sentence}."


async def _replace(session: AsyncSession, changes: Changes, certificate_id: int, parsed: Parsed) -> None:
    certificate = await session.get(Certificate, certificate_id)
    if certificate is not None:
        certificate.touch(await revisions.version_after(session, certificate.version))
        await contents.add_content(session, changes.seal, certificate, parsed)


def _summary(certificate: Certificate, is_renewal: bool) -> str:
    return f"{'Renewed' if is_renewal else 'Issued'} certificate {certificate.name}"
