"""What authorities allow in a time, as far as they publish it: an order that would exceed it is not made. Pure.

Let's Encrypt's limits: https://letsencrypt.org/docs/rate-limits/ (renewals that its renewal information suggests are exempt).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from guardpanel.acme.names import is_address
from guardpanel.models.certificates.issuing import LETS_ENCRYPT

DAY, HOUR = timedelta(days=1), timedelta(hours=1)

LONGEST = 7 * DAY
"For which orders count."


@dataclass(frozen=True)
class Past:
    """An order of ours at the authority. `is_refused`: a name of it could not be proved."""

    at: datetime
    names: frozenset[str]
    is_issued: bool
    is_refused: bool
    is_exempt: bool
    "A renewal that the authority suggested."


@dataclass(frozen=True)
class Limit:
    most: int
    period: timedelta
    words: str
    "After the authority's name."
    counts: Callable[[Past, frozenset[str]], bool]


def _is_same_set(past: Past, names: frozenset[str]) -> bool:
    return past.is_issued and not past.is_exempt and past.names == names


def _is_same_domain(past: Past, names: frozenset[str]) -> bool:
    return past.is_issued and not past.is_exempt and not _domains(past.names).isdisjoint(_domains(names))


def _is_refused_name(past: Past, names: frozenset[str]) -> bool:
    return past.is_refused and not past.names.isdisjoint(names)


LIMITS = {
    LETS_ENCRYPT: (
        Limit(300, 3 * HOUR, "takes 300 orders in 3 hours", lambda past, _: not past.is_exempt),
        Limit(5, 7 * DAY, "issues 5 certificates for the same names in 7 days", _is_same_set),
        Limit(50, 7 * DAY, "issues 50 certificates for names of a domain in 7 days", _is_same_domain),
        Limit(5, HOUR, "lets 5 proofs of a name fail in an hour", _is_refused_name),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Reached:
    """A limit, and until when it holds."""

    words: str
    until: datetime


def reached(authority: str, names: Sequence[str], past: Iterable[Past], now: datetime) -> Reached | None:
    """The limit that holds longest, if another order would exceed one."""
    past, wanted = list(past), frozenset(names)
    reached_limits = []
    for limit in LIMITS.get(authority, ()):
        moments = sorted(order.at for order in past if order.at > now - limit.period and limit.counts(order, wanted))
        if len(moments) >= limit.most:
            reached_limits.append(Reached(limit.words, moments[-limit.most] + limit.period))
    return max(reached_limits, key=lambda item: item.until, default=None)


def _domains(names: Iterable[str]) -> frozenset[str]:
    """Registered domains, by their form: of a country's short second level (`co.uk`), three labels count. Where that is wrong,
    the authority says so itself, with the time to wait."""
    return frozenset(_domain(name.removeprefix("*.")) for name in names if not is_address(name))


def _domain(name: str) -> str:
    labels = name.split(".")
    is_below_country = len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3
    return ".".join(labels[-3 if is_below_country else -2 :])
