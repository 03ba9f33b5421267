"""What becomes of an order after a step that failed. Pure."""

from datetime import datetime, timedelta
from enum import Enum, auto

from guardpanel.acme.faults import Fault, FaultKind
from guardpanel.acme.order import Phase
from guardpanel.acme.renewal import UNREACHABLE_MINUTES
from guardpanel.models.certificates.acme import AcmeOrder

ENDING = frozenset(
    {
        FaultKind.RATE_LIMITED, FaultKind.REJECTED, FaultKind.PROFILE, FaultKind.BINDING, FaultKind.CLOSED_ACCOUNT,
        FaultKind.LOST_ORDER, FaultKind.VALIDATION, FaultKind.OUTDATED, FaultKind.UNPROVEN, FaultKind.UNUSABLE,
    }
)  # fmt: skip
"Faults that end an order. After others the same step is tried again."

TRIED_AGAIN = frozenset({FaultKind.PROOF, FaultKind.OTHER})
"Faults that end an order which the authority does not know yet, once its tries are used up: the plan says when to try another."

PREDECESSOR = frozenset(
    {
        FaultKind.REPLACED, FaultKind.REJECTED, FaultKind.VALIDATION, FaultKind.BINDING, FaultKind.LOST_ORDER, FaultKind.OTHER,
    }
)  # fmt: skip
"""What an authority may have against the certificate that a new order replaces: it was replaced before, is not known any more, or
belongs to another account (RFC 9773 §5). It need not be named."""

LONGEST_LIFE = timedelta(days=7)
"Of an order without an end of its own."


class Outcome(Enum):
    AT_ONCE = auto()
    "The step is taken again, as the first order of an account that names no predecessor."
    LATER = auto()
    FAILED = auto()
    "No certificate comes of it. Its records are removed."
    ENDED = auto()
    "Its records can’t be removed, and it was over before."


def outcome_of(row: AcmeOrder, fault: Fault, now: datetime, *, others_can_issue: bool = False) -> Outcome:
    """`row` counts this failure in its tries. `others_can_issue`: an outage need not be waited for."""
    is_used_up = row.tries > len(UNREACHABLE_MINUTES)
    if has_result(row):
        return Outcome.ENDED if is_used_up else Outcome.LATER
    if row.phase == Phase.NEW and row.replaces and fault.kind in PREDECESSOR:
        return Outcome.AT_ONCE
    if fault.kind is FaultKind.UNKNOWN_ACCOUNT and row.tries == 1:
        return Outcome.AT_ONCE
    if fault.kind in ENDING or _is_too_old(row, now):
        return Outcome.FAILED
    if row.phase == Phase.NEW and fault.kind in TRIED_AGAIN and is_used_up:
        return Outcome.FAILED
    if fault.kind is FaultKind.UNREACHABLE and is_used_up and (others_can_issue or row.is_rehearsal):
        return Outcome.FAILED
    return Outcome.LATER


def has_result(row: AcmeOrder) -> bool:
    """Only its records are left."""
    return row.is_issued or row.phase == Phase.FAILED or (row.is_rehearsal and row.phase == Phase.ISSUED)


def wait_after(row: AcmeOrder) -> timedelta:
    """Until the next try."""
    return timedelta(minutes=UNREACHABLE_MINUTES[min(row.tries, len(UNREACHABLE_MINUTES)) - 1])


def _is_too_old(row: AcmeOrder, now: datetime) -> bool:
    """What was issued does not get too old to be put into use."""
    return row.phase != Phase.ISSUED and (row.expires or row.started_at + LONGEST_LIFE) <= now
