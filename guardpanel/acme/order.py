"""An order as a state machine: `step` does one thing with the authority and returns the order after it.

Whoever calls `step` commits its result before the next one. A killed process then continues where the authority is, whatever it
had asked for: each step begins by asking how the order stands, and repeats nothing that counts (RFC 8555 §7.1.6).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from guardpanel.acme.chains import choose_chain
from guardpanel.acme.client import Authority, challenge_of
from guardpanel.acme.faults import AuthorityFault, Fault, FaultKind, fault_of_problem, fault_of_validation
from guardpanel.acme.names import challenge_name
from guardpanel.later import Later

if TYPE_CHECKING:
    from acme import messages
else:
    messages = Later("acme.messages")

DNS_01, HTTP_01 = "dns-01", "http-01"


class Phase(StrEnum):
    NEW = "new"
    "The authority has not been asked yet, or its answer was lost."
    ORDERED = "ordered"
    PROVING = "proving"
    "It is decided which records are needed. They may exist."
    PROVEN = "proven"
    "Every name server returns them."
    ANSWERED = "answered"
    "The authority was told to look."
    FINALIZED = "finalized"
    ISSUED = "issued"
    "The certificate is here. The records may still exist."
    FAILED = "failed"
    "The authority gave up. The records may still exist."
    CLEAN = "clean"
    "Over, and no record is left."


@dataclass(frozen=True)
class Record:
    """A TXT record that proves a name."""

    name: str
    value: str


@dataclass(frozen=True)
class Order:
    names: tuple[str, ...]
    challenge: str
    csr: bytes
    "PEM."
    profile: str = ""
    replaces: str = ""
    phase: Phase = Phase.NEW
    url: str = ""
    expires: datetime | None = None
    records: tuple[Record, ...] = ()
    chain: str = ""
    "The certificate and its intermediates, PEM."
    fault: Fault | None = None
    preferred_chain: str = ""
    "The name of a chain's root. Empty: the authority's own choice."
    note: str = ""
    "About the last step, as a sentence."
    wait_seconds: float = 0.0
    "Until the next step."
    waits_for: str = ""
    "Which name server does not return a record yet, in words."

    @property
    def is_over(self) -> bool:
        return self.phase is Phase.CLEAN

    @property
    def is_issued(self) -> bool:
        return bool(self.chain)


class Proofs(Protocol):
    """Puts the proofs of names in their places. All of it may be done twice. Each raises AuthorityFault."""

    def add(self, records: Sequence[Record]) -> None: ...

    def lagging(self, records: Sequence[Record]) -> str:
        """Which authoritative server does not return which of them, in words. Empty: all return all."""
        ...

    def remove(self, records: Sequence[Record]) -> None:
        """Removes these values and no others."""
        ...


def step(order: Order, authority: Authority, proofs: Proofs) -> Order:
    """The next thing to do. Raises AuthorityFault if it cannot be done now: the order stays as it is."""
    order = replace(order, wait_seconds=0.0, waits_for="", note="")
    match order.phase:
        case Phase.CLEAN:
            return order
        case Phase.ISSUED | Phase.FAILED:
            return cleaned(order, proofs)
        case Phase.NEW:
            url = authority.new_order(order.names, order.profile, order.replaces)
            return replace(order, phase=Phase.ORDERED, url=url)
        case Phase.PROVING:
            return _proven(order, proofs)
    return _asked(order, authority)


def cleaned(order: Order, proofs: Proofs) -> Order:
    """An order that is over, without its records. The authority is not asked."""
    proofs.remove(order.records)
    return replace(order, phase=Phase.CLEAN)


def _asked(order: Order, authority: Authority) -> Order:
    """By what the authority says of the order."""
    body = _lookup(order, authority)
    order = replace(order, expires=body.expires or order.expires)
    match body.status:
        case messages.STATUS_PENDING:
            return _pending(order, authority, body)
        case messages.STATUS_READY:
            authority.finalize(body, order.csr)
            return replace(order, phase=Phase.FINALIZED)
        case messages.STATUS_PROCESSING:
            return replace(order, phase=Phase.FINALIZED, wait_seconds=authority.seconds_to_wait())
        case messages.STATUS_VALID if body.certificate:
            chains = authority.chains(body.certificate, with_others=bool(order.preferred_chain))
            chosen, note = choose_chain(chains, order.preferred_chain)
            return replace(order, phase=Phase.ISSUED, chain=chosen, note=note)
    return replace(order, phase=Phase.FAILED, fault=_reason(authority, body))


def _lookup(order: Order, authority: Authority) -> "messages.Order":
    try:
        return authority.order(order.url)
    except AuthorityFault as refused:
        if refused.fault.kind is FaultKind.UNKNOWN_ACCOUNT:  # Its orders went with it.
            raise AuthorityFault(replace(refused.fault, kind=FaultKind.LOST_ORDER)) from refused
        raise


def _pending(order: Order, authority: Authority, body: "messages.Order") -> Order:
    """Prove the names that are not proven, or wait for what the authority makes of their proofs."""
    authorizations = [authority.authorization(url) for url in body.authorizations]
    waiting = [item for item in authorizations if item.status == messages.STATUS_PENDING]
    if order.phase is Phase.ANSWERED and _answered(waiting):
        return replace(order, wait_seconds=authority.seconds_to_wait())
    open_challenges = [(item, challenge_of(item, order.challenge)) for item in waiting]
    if order.phase is Phase.ORDERED:
        records = tuple(
            Record(challenge_name(item.identifier.value), authority.txt_value(challenge))
            for item, challenge in open_challenges
            if order.challenge == DNS_01
        )
        return replace(order, phase=Phase.PROVING, records=records)
    for _, challenge in open_challenges:
        if challenge.status == messages.STATUS_PENDING:
            authority.answer(challenge)
    return replace(order, phase=Phase.ANSWERED)


def _answered(waiting: "Sequence[messages.Authorization]") -> bool:
    """Whether each of them has a challenge that the authority was told of."""
    started = {messages.STATUS_PROCESSING, messages.STATUS_VALID}
    return all(any(challenge.status in started for challenge in item.challenges) for item in waiting)


def _proven(order: Order, proofs: Proofs) -> Order:
    """HTTP-01 has no records: HAProxy answers for every name of the certificate since it was saved."""
    proofs.add(order.records)
    if lagging := proofs.lagging(order.records):
        return replace(order, wait_seconds=1.0, waits_for=lagging)
    return replace(order, phase=Phase.PROVEN)


def _reason(authority: Authority, body: "messages.Order") -> Fault:
    """Why an order is invalid: the words about each name, else those about the order."""
    problems = []
    for url in body.authorizations:
        item = authority.authorization(url)
        failed = (challenge.error for challenge in item.challenges if challenge.error is not None)
        problems += [(item.identifier.value, error) for error in failed]
    if problems or body.error is None:
        return fault_of_validation(problems)
    return fault_of_problem(body.error)
