"""Which certificate a hostname gets, and in which state a certificate is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from guardpanel.certificates.names import covers
from guardpanel.models.certificate import Source

RANKS = {Source.ACME: 0, Source.UPLOAD: 1, Source.LOCAL_CA: 2, Source.SELF_SIGNED: 3}

WARNED_DAYS = (21, 7, 1)
"Days left at which a certificate is announced, each more urgent."


class Candidate(Protocol):
    """A current content."""

    @property
    def certificate_id(self) -> int: ...
    @property
    def source(self) -> Source: ...
    @property
    def names(self) -> Sequence[str]: ...
    @property
    def not_before(self) -> datetime: ...
    @property
    def not_after(self) -> datetime: ...


C = TypeVar("C", bound=Candidate)


def best_for(hostname: str, candidates: Iterable[C], now: datetime) -> C | None:
    """Valid before not valid, exact before wildcard, ACME before uploaded before local, the one that lasts longest. None if
    none covers the hostname."""
    fitting = [one for one in candidates if covers(one.names, hostname)]
    return min(fitting, key=lambda one: _order(hostname, one, now), default=None)


def _order(hostname: str, one: Candidate, now: datetime) -> tuple[bool, bool, int, float, int]:
    is_valid = one.not_before <= now < one.not_after
    return not is_valid, hostname not in one.names, RANKS[one.source], -one.not_after.timestamp(), one.certificate_id


@dataclass(frozen=True)
class State:
    """`tone`: ok, warn or bad. `words` are short enough for a table."""

    key: str
    tone: str
    words: str


class Content(Protocol):
    @property
    def sealed_key(self) -> bytes | None: ...
    @property
    def not_before(self) -> datetime: ...
    @property
    def not_after(self) -> datetime: ...


def state_of(content: Content | None, now: datetime) -> State:
    """The most severe first."""
    if content is None:
        return State("missing", "bad", "No certificate")
    if content.sealed_key is None:
        return State("no_key", "bad", "No private key")
    left = content.not_after - now
    if left <= timedelta():
        return State("expired", "bad", f"Expired {_days(-left)} ago")
    if content.not_before > now:
        return State("not_yet", "warn", f"Valid in {_days(content.not_before - now)}")
    if left <= timedelta(days=WARNED_DAYS[0]):
        return State("expiring", "bad" if left <= timedelta(days=WARNED_DAYS[1]) else "warn", f"{_days(left)} left")
    return State("valid", "ok", f"{_days(left)} left")


def _days(span: timedelta) -> str:
    """Rounded down: `21 days`, `1 day`, `5 hours`."""
    if span.days:
        return f"{span.days:,} day{'s' if span.days > 1 else ''}"
    hours = span.seconds // 3600
    return f"{hours} hour{'s' if hours != 1 else ''}" if hours else "less than an hour"
