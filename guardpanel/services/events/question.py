"""The filters of an event search as typed: one input type for the page's form, its URL and the JSON API."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from ipaddress import ip_network
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, StringConstraints
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import Invalid
from guardpanel.events.grouping import GroupKey
from guardpanel.events.words import Kind, Reason, Severity, Verdict
from guardpanel.field_codes import FieldCode
from guardpanel.models.meta import described
from guardpanel.models.refusing import refuse
from guardpanel.models.types import visible
from guardpanel.services import virtual_host_names
from guardpanel.services.events.filters import EventFilter

METHOD = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
"A token of RFC 9110."

DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


class Period(StrEnum):
    """The last hour, day … A typed time overrides it."""

    HOUR = "1h"
    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"
    ALL = "all"


LENGTHS = {
    Period.HOUR: timedelta(hours=1), Period.DAY: timedelta(days=1), Period.WEEK: timedelta(days=7),
    Period.MONTH: timedelta(days=30),
}  # fmt: skip


def number(words: str, digits: int) -> Callable[[object], int]:
    """A typed integer. `words` is the error message."""

    def read(value: object) -> int:
        text = str(value).strip()
        if not (text.isascii() and text.isdigit() and len(text) <= digits):
            raise refuse(words)
        return int(text)

    return read


def network(text: str) -> str:
    """An address or a network, in canonical form."""
    text = visible(text.strip())
    try:
        subnet = ip_network(text, strict=False)
    except ValueError:
        raise refuse("Enter an IP address or CIDR range, for example 203.0.113.0/24.") from None
    if "%" in text:
        raise refuse("Enter the IP address without a zone (%).")
    return str(subnet.network_address if subnet.prefixlen == subnet.max_prefixlen else subnet)


def method(text: str) -> str:
    text = visible(text.strip())
    if not METHOD.fullmatch(text):
        raise refuse("Enter one method, for example POST.")
    return text.upper()


def words(text: str) -> str:
    return visible(text.strip())


def moment(value: object) -> datetime:
    """A day or a time, in UTC unless it has a time zone."""
    text = visible(str(value).strip())
    try:
        moment = (
            datetime.combine(date.fromisoformat(text), time()) if DAY.fullmatch(text) else datetime.fromisoformat(text)
        )
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise refuse("Enter a date or time in UTC, for example 2026-11-26 14:05.") from None
    if not EARLIEST <= moment < LATEST:
        raise refuse("Enter a year from 2000 to 2199.")
    return moment


def _nothing(value: Any) -> Any:
    """Empty fields are ignored."""
    return None if isinstance(value, str) and not value.strip() else value


def group(text: str) -> str:
    if GroupKey.read(text.strip()) is None:
        raise refuse("This is no group of events.")
    return text.strip()


Empty = BeforeValidator(_nothing)
RuleNumber = Annotated[int, BeforeValidator(number("Enter a rule ID, for example 942100.", 9))]
RowNumber = Annotated[int, BeforeValidator(number("Enter a policy ID.", 15))]
Score = Annotated[int, BeforeValidator(number("Enter a whole number up to 99999.", 5))]
Moment = Annotated[datetime, BeforeValidator(moment)]
Words = Annotated[str, StringConstraints(max_length=500), AfterValidator(words)]
Group = Annotated[str, StringConstraints(max_length=500), AfterValidator(group)]
Network = Annotated[str, StringConstraints(max_length=500), AfterValidator(network)]
Method = Annotated[str, StringConstraints(max_length=500), AfterValidator(method)]


class EventQuestion(BaseModel):
    """Conditions that must all hold. Empty ones are ignored."""

    kind: Annotated[Kind | None, Empty] = described("Kind", None)
    verdict: Annotated[Verdict | None, Empty] = described("Verdict", None)
    reason: Annotated[Reason | None, Empty] = described("Reason", None, hint="Why HAProxy did not deliver it.")
    virtual_host: Annotated[Words | None, Empty] = described("Virtual host", None, hint="Hostname or ID.")
    group: Annotated[Group | None, Empty] = described("Group", None)
    policy: Annotated[RowNumber | None, Empty] = described("Policy", None)
    rule: Annotated[RuleNumber | None, Empty] = described("Rule ID", None, hint="For example, 942100.")
    severity: Annotated[Severity | None, Empty] = described("Severity", None, hint="Highest severity that fired.")
    client: Annotated[Network | None, Empty] = described("Client IP", None, hint="IP address or CIDR range.")
    path: Annotated[Words | None, Empty] = described("Path", None, hint="A prefix if it starts with /, else any part.")
    method: Annotated[Method | None, Empty] = described("Method", None)
    min_score: Annotated[Score | None, Empty] = described("Minimum score", None)
    time: Annotated[Period | None, Empty] = described("Time range", None, hint="Ignored when From or To is set.")
    since: Annotated[Moment | None, Empty] = described("From", None, hint="UTC. For example, 2026-11-26 14:05.")
    until: Annotated[Moment | None, Empty] = described("To", None, hint="UTC, exclusive. A date alone means 00:00.")
    q: Annotated[Words | None, Empty] = described("Search", None)


async def filter_of(session: AsyncSession, question: EventQuestion, now: datetime) -> EventFilter:
    """Convert them for the event database. Raises Invalid for a virtual host that never existed, or an invalid time."""
    since, until = _times(question, now)
    return EventFilter(
        virtual_host_id=await _virtual_host(session, question.virtual_host),
        policy_id=question.policy,
        group=GroupKey.read(question.group or ""),
        kind=question.kind,
        verdict=question.verdict,
        reason=question.reason,
        rule=question.rule,
        severity=question.severity,
        client=question.client or "",
        path=question.path or "",
        method=question.method or "",
        since=since,
        until=until,
        min_score=question.min_score,
        q=question.q or "",
    )


def _times(question: EventQuestion, now: datetime) -> tuple[datetime | None, datetime | None]:
    if question.since and question.until and question.since >= question.until:
        raise Invalid.at("until", "To must be later than From.")
    if question.since or question.until:
        return question.since, question.until
    length = LENGTHS.get(question.time or Period.DAY)
    return (now - length if length else None), None


async def _virtual_host(session: AsyncSession, text: str | None) -> int | None:
    """A number may be that of a deleted virtual host, whose events still exist."""
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) < 16:
        return int(text)
    virtual_host_id = await virtual_host_names.number_of(session, text)
    if virtual_host_id is None:
        raise Invalid.at("virtual_host", "No virtual host has this hostname.", FieldCode.NOT_FOUND)
    return virtual_host_id
