"""Bans: networks whose requests are rejected until a time. They are operational state, not configuration: no revision has them,
and none is made for one. Rows stay after a ban has ended, as its history."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import (
    AfterValidator,
    BeforeValidator,
    StringConstraints,
    ValidationInfo,
    field_validator,
)
from sqlmodel import Field, SQLModel

from guardpanel.models.meta import Choice, described
from guardpanel.models.references import blank_is_none
from guardpanel.models.refusing import refuse
from guardpanel.models.types import Fields, notes

LATEST = datetime(2200, 1, 1, tzinfo=UTC)
BY_HAND = "hand"
AUTOMATIC = "automatic"
"Origins."


class BanLength(Choice):
    HOUR = "1h", "1 hour"
    DAY = "1d", "1 day"
    WEEK = "7d", "7 days"
    UNTIL = "until", "Until"
    FOREVER = "forever", "Forever"


LENGTHS = {
    BanLength.HOUR: timedelta(hours=1),
    BanLength.DAY: timedelta(days=1),
    BanLength.WEEK: timedelta(days=7),
}


def in_utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment >= LATEST:
        raise refuse("Enter a year before 2200, or ban it forever.")
    return moment.astimezone(UTC)


Reason = Annotated[str, StringConstraints(max_length=500), AfterValidator(notes)]
Moment = Annotated[datetime | None, BeforeValidator(blank_is_none), AfterValidator(in_utc)]


class BanFields(Fields):
    """What an operator sets."""

    network: str = described(
        "Address", max_length=200, placeholder="203.0.113.7", hint="An IP address, or a network such as 203.0.113.0/24."
    )
    length: BanLength = described("For", BanLength.HOUR)
    until: Moment = described("Until", None, placeholder="2026-12-31 18:00", hint="In UTC.")
    reason: Reason = described("Reason", "", hint="For the people who read this list. Visitors don’t see it.")
    save_anyway: bool = described("Save anyway", default=False)

    @field_validator("until")
    @classmethod
    def has_an_end(cls, until: datetime | None, info: ValidationInfo) -> datetime | None:
        if info.data.get("length") is BanLength.UNTIL and until is None:
            raise refuse("Enter when the ban ends.")
        return until

    def ends_at(self, now: datetime) -> datetime | None:
        """None: never."""
        if self.length in LENGTHS:
            return now + LENGTHS[self.length]
        return self.until if self.length is BanLength.UNTIL else None


class Ban(SQLModel, table=True):
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True)
    network: str = Field(max_length=50, index=True)
    "Canonical, as address lists have it."
    ends_at: datetime | None = None
    "None: never."
    reason: str = Field(default="", max_length=500)
    origin: str = Field(default=BY_HAND, max_length=20)
    "What banned it."
    violations: int = 0
    "What was counted when it was made, and of how many it was due then. 0 for one made by hand."
    threshold: int = 0
    created_by: str = Field(default="", max_length=320)
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    lifted_at: datetime | None = None
    "When it was ended before its time."
    lifted_by: str = Field(default="", max_length=320)

    def date_back(self, now: datetime, *, stays: bool) -> None:
        """What is dated later was done before the clock was set back. `stays`: it is right. An end that was chosen as a date
        stays."""
        if self.lifted_at is not None:
            self.lifted_at = min(self.lifted_at, now)
            self.created_at = min(self.created_at, self.lifted_at)
        elif stays:
            if self.ends_at is not None and self._has_length:
                self.ends_at += now - self.created_at
            self.created_at = now

    @property
    def _has_length(self) -> bool:
        is_one = self.ends_at is not None and self.ends_at - self.created_at in LENGTHS.values()
        return is_one or self.origin == AUTOMATIC

    def is_active(self, now: datetime) -> bool:
        return self.lifted_at is None and (self.ends_at is None or self.ends_at > now)
