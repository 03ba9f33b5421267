"""Why an order does not go on: the authority's own sentence, what kind of fault it is, and when to try again."""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from guardpanel.acme.network_words import reason
from guardpanel.later import Later

if TYPE_CHECKING:
    import josepy.errors
    import requests
    from acme import errors, messages
else:
    josepy, requests = Later("josepy"), Later("requests")
    errors, messages = Later("acme.errors"), Later("acme.messages")


class FaultKind(StrEnum):
    """What to do next depends on it, not on the authority's words."""

    RATE_LIMITED = "rate_limited"
    "No order for these names before `retry_at`."
    UNREACHABLE = "unreachable"
    "No answer, or none of an ACME server: try again in minutes."
    VALIDATION = "validation"
    "A name could not be proved. Failures are counted by authorities: try again in hours."
    REJECTED = "rejected"
    "The authority will not issue for a name. It does not help to ask again."
    PROFILE = "profile"
    BINDING = "binding"
    "An external account is required, or the given one is wrong."
    UNKNOWN_ACCOUNT = "unknown_account"
    "Register again: the authority has forgotten the account."
    CLOSED_ACCOUNT = "closed_account"
    REPLACED = "replaced"
    "Another order replaced the same certificate: order without saying so."
    LOST_ORDER = "lost_order"
    "The authority does not know the order, or it expired: start another one."
    PROOF = "proof"
    "The proof could not be put in its place: DNS server or hook."
    UNPROVEN = "unproven"
    "The records did not become visible in time."
    OUTDATED = "outdated"
    "The certificate was changed or deleted during the order."
    CANCELED = "canceled"
    "By somebody."
    UNUSABLE = "unusable"
    "What was issued can never be put into use."
    NOT_IN_USE = "not_in_use"
    "What was issued could not be put into use yet."
    OTHER = "other"


@dataclass(frozen=True)
class Fault:
    kind: FaultKind
    message: str
    "For the operator: what failed, and what to do."
    detail: str = ""
    "The authority's own words, of one name per line."
    type: str = ""
    "The problem's type: `urn:ietf:params:acme:error:rateLimited`."
    status: int | None = None
    "The HTTP status of the answer."
    retry_at: datetime | None = None

    @property
    def is_about_the_account(self) -> bool:
        """Whether another account may help."""
        is_rejected = self.kind is FaultKind.BINDING and self.type.endswith(":unauthorized")
        return self.kind is FaultKind.CLOSED_ACCOUNT or is_rejected


class AuthorityFault(Exception):
    """An order cannot go on now. `fault` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(f"{fault.message} {fault.detail}".strip())
        self.fault = fault


BY_CODE = {
    "rateLimited": (FaultKind.RATE_LIMITED, "The authority’s rate limit is reached."),
    "externalAccountRequired": (FaultKind.BINDING, "This authority requires an external account: enter its key ID and key."),
    "accountDoesNotExist": (FaultKind.UNKNOWN_ACCOUNT, "The authority no longer knows the account."),
    "rejectedIdentifier": (FaultKind.REJECTED, "The authority does not issue certificates for a hostname."),
    "unsupportedIdentifier": (FaultKind.REJECTED, "The authority does not issue certificates for a name of this kind."),
    "malformed": (FaultKind.REJECTED, "The authority rejected the request."),
    "caa": (FaultKind.REJECTED, "A CAA record forbids this authority to issue for a hostname."),
    "compound": (FaultKind.REJECTED, "The authority rejected several hostnames."),
    "badCSR": (FaultKind.REJECTED, "The authority rejected the certificate request."),
    "invalidContact": (FaultKind.REJECTED, "The authority rejected the email address."),
    "unsupportedContact": (FaultKind.REJECTED, "The authority rejected the email address."),
    "invalidProfile": (FaultKind.PROFILE, "The authority does not offer this profile."),
    "userActionRequired": (
        FaultKind.REJECTED, "The authority requires something of you first, such as agreement to new terms of service.",
    ),
    "alreadyReplaced": (FaultKind.REPLACED, "The certificate was already replaced by another order."),
    "badNonce": (FaultKind.UNREACHABLE, "The authority rejected every nonce."),
    "serverInternal": (FaultKind.UNREACHABLE, "The authority has an internal error."),
    "connection": (FaultKind.VALIDATION, "The authority could not connect to a hostname."),
    "dns": (FaultKind.VALIDATION, "The authority could not look up a hostname."),
    "unauthorized": (FaultKind.VALIDATION, "A hostname could not be proved."),
    "incorrectResponse": (FaultKind.VALIDATION, "A hostname could not be proved."),
    "tls": (FaultKind.VALIDATION, "A hostname could not be proved."),
}  # fmt: skip
"By the last part of a problem's type (RFC 8555 §6.7). Newer types are unknown to the `acme` library, which gives them no code."

NAMED_TIME = re.compile(r"(20\d\d-\d\d-\d\d[ T]\d\d:\d\d:\d\d)(?: ?UTC|Z)")
"Authorities say `retry after 2026-11-29 07:00:00 UTC` in the detail of a rate limit."

UNREACHABLE = "The authority can’t be reached."

NOT_ACME = "The address does not answer as an ACME server."


def fault_of(error: Exception, response: "requests.Response | None", now: datetime) -> Fault:
    """What an exception of the `acme` library means. `response` is the last one, which the exception does not have."""
    status = response.status_code if response is not None else None
    match error:
        case messages.Error():
            fault = fault_of_problem(error, status, retry_time(response, now))
            return replace(fault, detail="\n".join(filter(None, (fault.detail, *_pages(error, response)))))
        case errors.ConflictError():
            return Fault(FaultKind.REPLACED, BY_CODE["alreadyReplaced"][1], status=status)
        case requests.exceptions.JSONDecodeError() | josepy.errors.DeserializationError():
            return Fault(FaultKind.UNREACHABLE, NOT_ACME, _answer(response), status=status)
        case requests.exceptions.RequestException():
            return Fault(FaultKind.UNREACHABLE, UNREACHABLE, f"{_host(error)}: {reason(error)}.")
    retry_at = retry_time(response, now)
    return Fault(FaultKind.UNREACHABLE, NOT_ACME, _answer(response), status=status, retry_at=retry_at)


def fault_of_problem(problem: "messages.Error", status: int | None = None, retry_at: datetime | None = None) -> Fault:
    code = str(problem.typ or "").rpartition(":")[2]
    kind, message = BY_CODE.get(code, (FaultKind.OTHER, "The authority rejected the request."))
    if status == 403 and code == "unauthorized":
        kind, message = _forbidden(str(problem.detail or ""))
    if status == 404:
        kind, message = FaultKind.LOST_ORDER, "The authority no longer knows the order."
    parts = [_line(part.identifier.value if part.identifier else "", part.detail) for part in problem.subproblems or ()]
    detail = "\n".join(filter(None, [str(problem.detail or ""), *parts]))
    if kind is FaultKind.RATE_LIMITED:
        retry_at = max(filter(None, (retry_at, named_time(detail))), default=None)
    return Fault(kind, message, detail, str(problem.typ or ""), status, retry_at)


def fault_of_validation(problems: "Iterable[tuple[str, messages.Error]]") -> Fault:
    """Of names whose proof failed, with the authority's words for each."""
    problems = list(problems)
    first = fault_of_problem(problems[0][1]) if problems else Fault(FaultKind.VALIDATION, BY_CODE["unauthorized"][1])
    kind = first.kind if first.kind is FaultKind.REJECTED else FaultKind.VALIDATION
    message = first.message if first.kind in {FaultKind.REJECTED, FaultKind.VALIDATION} else BY_CODE["unauthorized"][1]
    detail = "\n".join(_line(name, problem.detail) for name, problem in problems)
    return Fault(kind, message, detail, first.type)


def _pages(error: "messages.Error", response: "requests.Response | None") -> Iterator[str]:
    """The pages on which the authority has its account's owner do something (RFC 8555 §7.3.3): the problem's `instance`, and the
    terms of service. The `acme` library drops both."""
    if str(error.typ or "").rpartition(":")[2] != "userActionRequired" or response is None:
        return
    with suppress(requests.exceptions.JSONDecodeError, AttributeError):
        if instance := response.json().get("instance"):
            yield f"What to do: {instance}"
    for link in requests.utils.parse_header_links(response.headers.get("Link", "")):
        if link.get("rel") == "terms-of-service":
            yield f"Its terms: {link['url']}"


def retry_time(response: "requests.Response | None", now: datetime) -> datetime | None:
    """The answer's Retry-After: seconds or a date (RFC 9110 §10.2.3)."""
    text = "" if response is None else response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return now + timedelta(seconds=min(int(text), 10 * 86_400))
    try:
        moment = parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def named_time(detail: str) -> datetime | None:
    match = NAMED_TIME.search(detail)
    return datetime.fromisoformat(match[1]).replace(tzinfo=UTC) if match else None


def _forbidden(detail: str) -> tuple[FaultKind, str]:
    """`unauthorized` for a request, not for a challenge: by the sentence, since the type is the same."""
    if "deactivated" in detail.lower() or "revoked" in detail.lower():
        return (
            FaultKind.CLOSED_ACCOUNT,
            "The account at this authority is deactivated. Register a new account on the certificate’s page.",
        )
    return FaultKind.BINDING, "The authority rejected the account. Check the external account’s key ID and key."


def _line(name: str, detail: str | None) -> str:
    return f"{name}: {detail or 'no reason given'}" if name else str(detail or "")


def _host(error: "requests.exceptions.RequestException") -> str:
    return (urlsplit(error.request.url or "").netloc if error.request is not None else "") or "the authority"


def _answer(response: "requests.Response | None") -> str:
    """What came instead of an ACME server's JSON."""
    if response is None:
        return ""
    is_page = response.content.lstrip()[:1] == b"<"
    return f"HTTP status {response.status_code}{', with a web page instead of JSON' if is_page else ''}."
