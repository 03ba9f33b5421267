"""Who answers for an exclusion or override, and until when: fields that several models have."""

from datetime import date
from typing import Annotated, Any

from pydantic import BeforeValidator

from guardpanel.models.meta import described

LastDay = Annotated[date | None, BeforeValidator(lambda value: None if value == "" else value)]


def owner_field() -> Any:
    return described("Owner", "", hint="Defaults to your email address.")


def last_day_field() -> Any:
    return described(
        "Last day",
        None,
        unset="none",
        placeholder="2026-12-31",
        hint="Disabled after this day (UTC), by a change of its own.",
    )
