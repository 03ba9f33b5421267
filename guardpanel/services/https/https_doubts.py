"""What would keep visitors out once a virtual host is saved: said and confirmed before."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.certificates.names import covers
from guardpanel.errors import FieldError, NeedsConfirmation
from guardpanel.models import VirtualHost
from guardpanel.models.types import display_name
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.services import certificate_uses
from guardpanel.services.certificate_uses import Covered

WORDS = {
    "certificate_id": "{chosen} does not cover {names}: {they} {get} another certificate, or the default one, which browsers "
    "refuse.",
    "hostnames": "{names} {get} {offer}, which does not cover {them}: clients name no IP address in a handshake, so that all of "
    "them get one certificate.",
    "https_redirect": "Visitors of {names} would be redirected to HTTPS, which browsers refuse without a valid certificate.",
    "hsts_seconds": "Browsers that get HSTS refuse {names} without a valid certificate, and there is no way to go on for "
    "visitors.",
}
"By field, in this order."

Doubts = Mapping[tuple[str, str], Covered]
"By field and hostname."


async def must_be_meant(
    session: AsyncSession,
    fields: VirtualHostFields,
    row: VirtualHost | None,
    new_names: Sequence[str],
    *,
    is_meant: bool,
) -> None:
    """Raises NeedsConfirmation (409) for what this save adds. `new_names`: of the certificate that comes with it."""
    names, number = list(fields.hostnames), row.id if row else None
    if is_meant or not fields.https or (row is not None and row.https and _asked(row) == _asked(fields)):
        return  # Of what stays, nothing is a new doubt.
    now = await certificate_uses.coverage_of(session, names, fields.certificate_id, number)
    open_doubts = doubts(fields, dict(zip(names, now, strict=True)), new_names)
    if open_doubts and row is not None and row.https:
        known = dict(
            zip([name.name for name in row.hostnames], await certificate_uses.coverage(session, row), strict=True)
        )
        before = doubts(row, known, ())
        open_doubts = {key: covered for key, covered in open_doubts.items() if key not in before}
    if open_doubts:
        errors = in_words(open_doubts, await certificate_uses.named(session, fields.certificate_id))
        raise NeedsConfirmation(" ".join(errors.values()), {name: FieldError(text) for name, text in errors.items()})


def _asked(fields: VirtualHostFields | VirtualHost) -> Sequence[object]:
    """What doubts are about."""
    names = [name if isinstance(name, str) else name.name for name in fields.hostnames]
    return names, fields.certificate_id, bool(fields.https_redirect), fields.hsts_seconds


def doubts(
    fields: VirtualHostFields | VirtualHost, coverage: Mapping[str, Covered], new_names: Sequence[str]
) -> Doubts:
    doubtful: dict[tuple[str, str], Covered] = {}
    for name, covered in coverage.items():
        if covers(new_names, name):
            continue
        offer = covered.offer
        if (
            fields.certificate_id is not None
            and not covered.is_awaited
            and (offer is None or offer.certificate_id != fields.certificate_id)
        ):
            doubtful["certificate_id", name] = covered
        if offer is not None and not covered.fits:
            doubtful["hostnames", name] = covered
        if not covered.is_valid and not covered.is_awaited:
            if fields.https_redirect:
                doubtful["https_redirect", name] = covered
            if fields.hsts_seconds:
                doubtful["hsts_seconds", name] = covered
    return doubtful


def in_words(doubts_by_kind: Doubts, chosen: str) -> dict[str, str]:
    names: dict[str, list[str]] = defaultdict(list)
    offers: dict[str, str] = {}
    for (field, name), covered in doubts_by_kind.items():
        names[field].append(display_name(name))
        offers[field] = covered.offer.name if covered.offer else ""
    return {
        field: _sentence(words, names[field], chosen, offers[field]) for field, words in WORDS.items() if field in names
    }


def _sentence(words: str, names: Sequence[str], chosen: str, offer: str) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    grammar = (
        {"they": "it", "get": "gets", "them": "it"}
        if len(names) == 1
        else {"they": "they", "get": "get", "them": "them"}
    )
    return words.format(names=", ".join(names[:3]) + more, chosen=chosen, offer=offer, **grammar)
