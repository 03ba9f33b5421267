"""What people read about a stored client CA: its authorities, and the most urgent of what is wrong."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from cryptography.hazmat.primitives import hashes

from guardpanel.certificates.choosing import State, days
from guardpanel.certificates.client_authorities import Authorities, is_of, next_update, read
from guardpanel.certificates.client_authority_chains import usable
from guardpanel.certificates.names import called
from guardpanel.certificates.reading import is_root
from guardpanel.errors import Invalid

WARNED_DAYS = (7, 1)
"Days left of a revocation list at which it is announced, each more urgent. Most are issued anew every week."

CA_WARNED_DAYS = 30
"Days left of a CA’s certificate: the visitors’ are replaced with it."


@dataclass(frozen=True)
class Authority:
    """`next_update`: of its revocation list, if it has one that ends."""

    name: str
    subject: str
    fingerprint: str
    is_root: bool
    not_after: datetime
    usable_from: datetime
    usable_until: datetime
    "The first end in its chain up to the root."
    has_list: bool
    revoked: int
    next_update: datetime | None


@lru_cache(maxsize=200)
def authorities(certificates: str, revocation_lists: str) -> tuple[Authority, ...]:
    """Of the texts of a row. Empty if an earlier version stored what this one cannot read."""
    try:
        stored = read(certificates, revocation_lists, ())
    except Invalid:
        return ()
    return tuple(_of(stored))


def _of(stored: Authorities) -> list[Authority]:
    authorities = []
    for certificate in stored.certificates:
        its = [revoked for revoked in stored.lists if is_of(revoked, certificate)]
        authorities.append(
            Authority(
                called(certificate.subject),
                certificate.subject.rfc4514_string()[:300],
                certificate.fingerprint(hashes.SHA256()).hex(),
                is_root(certificate),
                certificate.not_valid_after_utc,
                *usable(certificate, stored.certificates),
                bool(its),
                len({entry.serial_number for revoked in its for entry in revoked}),
                next_update(its) if its else None,
            )
        )
    return authorities


def state_of(its: tuple[Authority, ...], now: datetime) -> State:
    """The most severe first."""
    if not its:
        return State("unreadable", "bad", "Can’t be read")
    listed = list_state(its, now)
    if listed and listed.tone == "bad":
        return listed
    left = max(authority.usable_until for authority in its) - now
    if left <= timedelta():
        return State("expired", "bad", f"Expired {days(-left)} ago")
    if (start := min(authority.usable_from for authority in its)) > now:
        return State("not_yet", "bad", f"Valid in {days(start - now)}")
    first = min((authority.usable_until for authority in its if authority.usable_until > now), default=now) - now
    if listed:
        return listed
    if any(authority.usable_until <= now for authority in its):
        return State("expired_in_part", "warn", "A CA expired")
    if first <= timedelta(days=CA_WARNED_DAYS):
        return State("expiring", "warn", f"A CA ends in {days(first)}")
    return State("valid", "ok", f"{days(first)} left")


def end_of(its: tuple[Authority, ...]) -> datetime | None:
    """Of the first revocation list or the last chain, whichever is sooner. None: they can’t be read."""
    if not its:
        return None
    lists = (authority.next_update for authority in its if authority.next_update)
    return min([*lists, max(authority.usable_until for authority in its)])


def list_state(its: tuple[Authority, ...], now: datetime) -> State | None:
    """Of the revocation list that ends first. None: there is nothing to say."""
    ends = [authority.next_update for authority in its if authority.next_update]
    if not ends:
        return None
    left = min(ends) - now
    if left <= timedelta():
        return State("crl_ended", "bad", f"CRL ended {days(-left)} ago")
    if left <= timedelta(days=WARNED_DAYS[0]):
        tone = "bad" if left <= timedelta(days=WARNED_DAYS[1]) else "warn"
        return State("crl_ending", tone, f"CRL ends in {days(left)}")
    return None
