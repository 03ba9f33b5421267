"""Contents that a certificate had before, and the way back to them."""

from datetime import UTC, datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.certificates import contents
from guardpanel.certificates.pem import Material
from guardpanel.certificates.reading import parse
from guardpanel.errors import Invalid, NotFound
from guardpanel.models import Certificate, CertificateContent
from guardpanel.models.certificates.certificate import CertificateInput
from guardpanel.services.certificate_choices import gap
from guardpanel.services.certificates import ROWS, Ready, fields_of, find
from guardpanel.services.saving.changes import Changes, SaveRequest, SaveResult


async def use_again(
    changes: Changes, request: SaveRequest, certificate_id: int, content_id: int
) -> SaveResult[Certificate]:
    """Serve a replaced content again. Raises NotFound (404), KeyLost (503) if its key was wiped, and Invalid (422) if it expired,
    was revoked, or is not valid yet while the current one is."""
    async with changes.database.read() as session:
        await find(session, certificate_id)
        its = await contents.all_of(session, certificate_id)
        current = await contents.current(session, certificate_id)
    content = next((content for content in its if content.id == content_id), None)
    if content is None:
        raise NotFound("This certificate is no longer stored.")
    if content.revoked_at is not None:
        raise Invalid("This certificate was revoked. Browsers refuse it.")
    parsed = parse(Material(content.chain.encode(), contents.key_of(content, changes.seal)), datetime.now(UTC))
    if words := gap(current, parsed, datetime.now(UTC)):
        raise Invalid(words)

    def with_content(row: Certificate) -> Ready:
        fields = CertificateInput(**fields_of(row).model_dump())
        return Ready.model_construct(None, **dict(fields), parsed=parsed, renewed=False)

    return await ROWS.refill(changes, request, certificate_id, with_content)


async def earlier(session: AsyncSession, row: Certificate) -> list[CertificateContent]:
    """What was served before, newest first."""
    current = row.content.id if row.content else None
    return [content for content in await contents.all_of(session, row.id or 0) if content.id != current]
