"""The certificates that HAProxy gets, with their keys."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from guardpanel.models.certificates.certificate import Source


@dataclass(frozen=True, slots=True)
class ServedCertificate:
    """A certificate's current content."""

    certificate_id: int
    source: Source
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    pem: bytes = field(repr=False)
    "Leaf, intermediates, key."
    revoked_at: datetime | None = None

    def is_valid(self, moment: datetime) -> bool:
        return self.not_before <= moment < self.not_after


@dataclass(frozen=True, slots=True)
class ServedCertificates:
    all: tuple[ServedCertificate, ...]
    at: datetime
    "When they were read: what is valid then goes before what is not."


NO_CERTIFICATES = ServedCertificates((), datetime(1970, 1, 1, tzinfo=UTC))
