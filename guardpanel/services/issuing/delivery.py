"""What an authority issued becomes the content of its certificate."""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.certificates import contents
from guardpanel.certificates.reading import Parsed, parse_pem
from guardpanel.errors import Conflict, Invalid, Problem
from guardpanel.models.certificates.acme import AcmeOrder
from guardpanel.models.certificates.certificate import Certificate
from guardpanel.sealing import KeyLost
from guardpanel.services.certificate_choices import gap
from guardpanel.services.issuing.orders import difference
from guardpanel.services.saving import revisions
from guardpanel.services.saving.change import Change, SaveRequest
from guardpanel.services.saving.changes import Changes

AUTHOR = "guardpanel"


class Unusable(Problem):
    """Trying again does not help: another certificate has to be ordered."""

    code = "unusable"


async def deliver(changes: Changes, row: AcmeOrder, now: datetime) -> str:
    """Returns what became of it, as a sentence. Raises Unusable if it never can be put into use, and
    other Problems if that may be tried again."""
    parsed = _read(changes, row, now)
    await changes.settled()  # What a running save brought may be rolled back.
    async with changes.database.read() as session:
        certificate = await session.get(Certificate, row.certificate_id)
        known = await contents.current(session, row.certificate_id)
    if certificate is None:
        return "Its certificate was deleted meanwhile."
    if known is not None and known.fingerprint == parsed.fingerprint:
        return "In use."
    if words := gap(known, parsed, now):
        raise Conflict(words)
    change = Change(SaveRequest(AUTHOR), _summary(certificate, known is not None), "certificate", row.certificate_id)

    async def mutate(session: AsyncSession) -> None:
        await _replace(session, changes, row, parsed)

    saved = await changes.save(change, mutate)
    return f"{saved.sentence}."


def _read(changes: Changes, row: AcmeOrder, now: datetime) -> Parsed:
    try:
        key = changes.seal.open(row.sealed_key or b"", row.place).decode()
        parsed = parse_pem(row.chain, key, now)
    except (KeyLost, Invalid) as problem:
        words = dict.fromkeys([problem.message, *(error.message for error in problem.errors.values())])
        raise Unusable(f"What was issued can’t be used. {' '.join(words)}") from problem
    if missing := [name for name in row.names if name not in parsed.names]:
        raise Unusable(f"What was issued can’t be used. It is not for {', '.join(missing)}.")
    return parsed


async def _replace(session: AsyncSession, changes: Changes, row: AcmeOrder, parsed: Parsed) -> None:
    certificate = await session.get(Certificate, row.certificate_id)
    if certificate is None or difference(row, certificate):
        raise Conflict("The certificate was changed meanwhile.")
    certificate.touch(await revisions.version_after(session, certificate.version))
    await contents.add_content(session, changes.seal, certificate, parsed)


def _summary(certificate: Certificate, is_renewal: bool) -> str:
    return f"{'Renewed' if is_renewal else 'Issued'} certificate {certificate.name}"
