"""When a certificate is renewed, and when a failed order is tried again. Pure."""

import hashlib
from datetime import datetime, timedelta

from guardpanel.acme.faults import Fault, FaultKind

SHORT_LIFE = timedelta(days=10)
"Certificates that live shorter are renewed at half of their life, others at two thirds."

JITTER = 0.05
"Part of the life by which renewals are spread."

UNREACHABLE_MINUTES = (1, 5, 15)
FIRST_HOURS, MOST_HOURS = 1.0, 24.0
RETRY_JITTER = 0.2

HURRY = 1 / 8
"Part of what is left of a certificate's life, after which a failed renewal is tried again at the latest."

NOT_RETRIED = frozenset(
    {FaultKind.REJECTED, FaultKind.PROFILE, FaultKind.BINDING, FaultKind.CLOSED_ACCOUNT, FaultKind.CANCELED}
)
"Asking again does not help until something was changed. A certificate that is in use is tried once a day nevertheless."


def renewal_moment(start: datetime, end: datetime, seed: str) -> datetime:
    """Without the authority's suggestion. The same seed gives the same moment."""
    life = end - start
    part = 1 / 2 if life < SHORT_LIFE else 2 / 3
    return start + life * (part + JITTER * (2 * chance(seed) - 1))


def moment_within(start: datetime, end: datetime, seed: str) -> datetime:
    """A moment of the window that an authority suggests (RFC 9773 §4.2)."""
    return start + (end - start) * chance(seed)


def retry_moment(fault: Fault, tries: int, now: datetime, seed: str, end: datetime | None = None) -> datetime | None:
    """When to try again after this number of failures in a row, for a certificate that is in use until `end`. None: not before
    somebody asks for it."""
    if fault.kind in NOT_RETRIED:
        return None
    if fault.kind is FaultKind.UNREACHABLE and tries <= len(UNREACHABLE_MINUTES):
        wait = timedelta(minutes=UNREACHABLE_MINUTES[tries - 1])
    else:
        hours = min(MOST_HOURS, FIRST_HOURS * 2.0 ** min(tries - 1, 10))
        most = MOST_HOURS if end is None or end <= now else (end - now) * HURRY / timedelta(hours=1)
        hours = min(hours, max(FIRST_HOURS, most))
        wait = timedelta(hours=hours * (1 + RETRY_JITTER * (2 * chance(f"{seed} {tries}") - 1)))
    if fault.kind is FaultKind.RATE_LIMITED and fault.retry_at is not None:
        return max(fault.retry_at, now + timedelta(minutes=1))
    return max(now + wait, fault.retry_at or now)


def chance(seed: str) -> float:
    """0 to 1, always the same for a seed: a restart must not draw again."""
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8]) / 2**64
