"""Which certificate a hostname gets, and in which state a certificate is."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from guardpanel.certificates.names import covers
from guardpanel.models.certificates.certificate import Source, is_address

RANKS = {Source.ACME: 0, Source.UPLOAD: 1, Source.LOCAL_CA: 2, Source.SELF_SIGNED: 3}

WARNED_DAYS = (21, 7)
"Days left at which a certificate is announced, and is urgent. Those that end first come first."

USUAL_LIFETIME = timedelta(days=90)
"Of shorter ones, the same shares count: renewal is due when a third is left."


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
    @property
    def revoked_at(self) -> datetime | None: ...


C = TypeVar("C", bound=Candidate)


def best_for(hostname: str, candidates: Iterable[C], now: datetime) -> C | None:
    """Valid before revoked before not valid, exact before wildcard, ACME before uploaded before local, the one that lasts
    longest. None if none covers the hostname."""
    return _best(hostname, [candidate for candidate in candidates if covers(candidate.names, hostname)], now)


def _best(hostname: str, fitting: Sequence[C], now: datetime) -> C | None:
    """Of those that cover it."""
    if len(fitting) == 1:  # As mostly, of thousands of hostnames.
        return fitting[0]
    return min(fitting, key=lambda candidate: _order(hostname, candidate, now), default=None)


def _order(hostname: str, candidate: Candidate, now: datetime) -> tuple[bool, bool, bool, int, float, int]:
    return (
        not is_valid(candidate, now),
        candidate.revoked_at is not None,  # Some clients don't ask for revocations. All look at the dates.
        hostname not in candidate.names,
        RANKS[candidate.source],
        -candidate.not_after.timestamp(),
        candidate.certificate_id,
    )


def is_valid(candidate: Candidate, now: datetime) -> bool:
    return candidate.not_before <= now < candidate.not_after


def is_usable(candidate: Candidate, now: datetime) -> bool:
    return is_valid(candidate, now) and candidate.revoked_at is None


class Choice(Generic[C]):
    """Between all current contents, at a moment."""

    def __init__(self, candidates: Iterable[C], now: datetime) -> None:
        self.now = now
        self.by_id: dict[int, C] = {}
        self._by_name: dict[str, list[C]] = defaultdict(list)
        for candidate in candidates:
            self.by_id[candidate.certificate_id] = candidate
            for name in candidate.names:
                self._by_name[name].append(candidate)

    def of(self, hostname: str, chosen_id: int | None = None) -> C | None:
        """The chosen one, where it covers the hostname, is valid and not revoked; otherwise the best. None: the default one."""
        chosen = self.by_id.get(chosen_id) if chosen_id is not None else None
        if chosen is not None and is_usable(chosen, self.now) and covers(chosen.names, hostname):
            return chosen
        wildcard = f"*.{hostname.partition('.')[2]}"
        return _best(hostname, (*self._by_name.get(hostname, ()), *self._by_name.get(wildcard, ())), self.now)

    def without_a_name(self, by_hostname: Mapping[str, C | None], chosen_id: int | None = None) -> C | None:
        """Of handshakes that name no hostname: the chosen one, as long as there is such, else that of most IP addresses, since
        clients name none (RFC 6066 §3)."""
        if chosen_id is not None and chosen_id in self.by_id:
            return self.by_id[chosen_id]
        ids = Counter(
            candidate.certificate_id
            for name in sorted(filter(is_address, by_hostname))
            if (candidate := by_hostname[name]) is not None
        )
        return next((self.by_id[number] for number, _ in ids.most_common(1)), None)


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
    @property
    def revoked_at(self) -> datetime | None: ...


def state_of(content: Content | None, now: datetime) -> State:
    """The most severe first."""
    if content is None:
        return State("missing", "bad", "No certificate")
    if content.sealed_key is None:
        return State("no_key", "bad", "No private key")
    left = content.not_after - now
    if left <= timedelta():
        return State("expired", "bad", f"Expired {days(-left)} ago")
    if content.revoked_at is not None:
        return State("revoked", "bad", "Revoked")
    if content.not_before > now:
        return State("not_yet", "warn", f"Valid in {days(content.not_before - now)}")
    share = min(1.0, (content.not_after - content.not_before) / USUAL_LIFETIME)
    if left <= timedelta(days=WARNED_DAYS[0]) * share:
        is_urgent = left <= timedelta(days=WARNED_DAYS[1]) * share
        return State("expiring", "bad" if is_urgent else "warn", f"{days(left)} left")
    return State("valid", "ok", f"{days(left)} left")


def days(span: timedelta) -> str:
    """Rounded down: `21 days`, `1 day`, `5 hours`."""
    if span.days:
        return f"{span.days:,} day{'s' if span.days > 1 else ''}"
    hours = span.seconds // 3600
    return f"{hours} hour{'s' if hours != 1 else ''}" if hours else "less than an hour"
