"""When the authorities of client certificates are of use: OpenSSL wants the whole chain valid, up to the root."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from cryptography import x509

from guardpanel.certificates.reading import is_root, signed

LONGEST_CHAIN = 10
"CAs from one that signs client certificates up to the root: some sign each other."


class Usable(NamedTuple):
    start: datetime
    end: datetime


def usable(certificate: x509.Certificate, all_of_them: Sequence[x509.Certificate], below: int = 0) -> Usable:
    """When what this CA signed is accepted: while all of its chain up to the root is valid."""
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    parents = [] if is_root(certificate) else [parent for parent in all_of_them if signed(parent, certificate)]
    if not parents or below >= LONGEST_CHAIN:
        return Usable(start, end)
    above = max((usable(parent, all_of_them, below + 1) for parent in parents), key=lambda time: time.end)
    return Usable(max(start, above.start), min(end, above.end))
