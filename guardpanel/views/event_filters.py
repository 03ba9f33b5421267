"""The filters of Events: in the URL, as sentences above the list, and as a form."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from guardpanel.events.words import REASON_TABLE, VERDICT_TABLE, Kind, Severity
from guardpanel.models import Policy
from guardpanel.models.meta import about
from guardpanel.services.events.question import EventQuestion, Period
from guardpanel.views.forms import Form

LONGEST = 2_000
"Characters of a typed value that are shown again."

PERIODS = {
    Period.HOUR: "last hour", Period.DAY: "last 24 hours", Period.WEEK: "last 7 days",
    Period.MONTH: "last 30 days", Period.ALL: "all time",
}  # fmt: skip

SEVERITIES = (Severity.CRITICAL, Severity.ERROR, Severity.WARNING, Severity.NOTICE)
"The severities that CRS assigns."

FIELDS = about(EventQuestion)

SENTENCES = tuple(name for name in FIELDS if name not in {"time", "since", "until", "q"})
"The filters above the list."

VERBS = {"path": "contains"}

ALWAYS = ("kind", "verdict", "virtual_host", "rule")
"Always shown, even if unset."


@dataclass(frozen=True)
class Box:
    """A filter as a sentence: `words` describes its value. Without `options` it is typed."""

    name: str
    label: str
    words: str
    clear: str
    options: list[dict[str, Any]]
    verb: str = "is"


class EventFilters:
    """The typed filters, and URLs of the list with others."""

    FIELDS = tuple(name for name in EventQuestion.model_fields if name not in {"q", "group"})
    "The fields of the form."

    PATH = "/events"
    "Of the list."

    def __init__(self, query: QueryParams) -> None:
        typed = {name: query.get(name, "").strip()[:LONGEST] for name in EventQuestion.model_fields}
        self.kept = {name: value for name, value in typed.items() if value and (name, value) != ("time", Period.DAY)}
        self.form = Form(
            {"time": [Period.DAY], **{name: [value] for name, value in self.kept.items()}}, model=EventQuestion
        )
        self.is_wordy = any(not value for name, value in query.items()) or typed["time"] == Period.DAY
        "Without empty fields, which forms also send."

    @property
    def is_filtered(self) -> bool:
        """Whether any filter but the time is set."""
        return bool(set(self.kept) - {"time", "since", "until"})

    @property
    def refused_links(self) -> list[dict[str, str]]:
        """Errors by field."""
        return [
            {"label": f"{FIELDS[name].title}: {error.message}", "url": f"#f-{name}"}
            for name, error in self.form.errors.items()
        ]

    def url(self, **changed: object) -> str:
        """The list's URL, from its first page unless a cursor is given."""
        values = {name: str(value) for name, value in {**self.kept, **changed}.items() if value not in {"", None}}
        return self.PATH + (f"?{urlencode(values)}" if values else "")

    def others(self, *names: str) -> dict[str, str]:
        """The hidden inputs of a form with these fields."""
        return {name: value for name, value in self.kept.items() if name not in names}

    def options(self, name: str, policies: Iterable[Policy]) -> list[tuple[str, str]]:
        """The choices of a field. An unknown value remains a choice, so that it is not lost."""
        known = _choices(policies)[name]
        typed = self.kept.get(name, "")
        extra = [(typed, typed[:60])] if typed and typed not in known else []
        first = [] if name == "time" else [("", "Any")]
        return [*first, *((value, words[:1].upper() + words[1:]) for value, words in known.items()), *extra]

    @property
    def period(self) -> str:
        """As a label: `last 24 hours`."""
        since, until = self.kept.get("since", ""), self.kept.get("until", "")
        if since and until:
            return f"{since} to {until}"
        if since or until:
            return f"since {since}" if since else f"before {until}"
        return _choices(())["time"].get(self.kept.get("time", ""), PERIODS[Period.DAY])

    @property
    def time_box(self) -> Box:
        is_typed = "since" in self.kept or "until" in self.kept
        current = "" if is_typed else self.kept.get("time", Period.DAY)
        options = [
            {
                "label": words[:1].upper() + words[1:], "current": value == current,
                "url": self.url(time="" if value == Period.DAY else value.value, since="", until=""),
            }
            for value, words in PERIODS.items()
        ]  # fmt: skip
        return Box("time", FIELDS["time"].title, self.period, self.url(since="", until="") if is_typed else "", options)

    def boxes(self, policies: Iterable[Policy], host: str) -> list[Box]:
        """The filters that are set and those that are always shown. `host`: the selected virtual host's name."""
        choices = _choices(policies)
        names = [name for name in SENTENCES if name in self.kept or name in ALWAYS]
        return [self._box(name, choices.get(name, {}), host) for name in names]

    def _box(self, name: str, choices: Mapping[str, str], host: str) -> Box:
        typed = self.kept.get(name, "")
        words = {"virtual_host": host, "policy": f"deleted (ID {typed})"}.get(name, typed) if typed else ""
        options = [
            {"label": label[:1].upper() + label[1:], "url": self.url(**{name: value}), "current": value == typed}
            for value, label in choices.items()
        ]
        clear = self.url(**{name: ""}) if typed else ""
        return Box(name, FIELDS[name].title, choices.get(typed, words)[:80], clear, options, VERBS.get(name, "is"))


def _choices(policies: Iterable[Policy]) -> Mapping[str, Mapping[str, str]]:
    """Labels of the possible values, by field."""
    return {
        "kind": {Kind.SECURITY.value: "Security", Kind.DELIVERY.value: "Not delivered"},
        "verdict": {verdict.value: words.label for verdict, words in VERDICT_TABLE.items()},
        "reason": {reason.value: words.line for reason, words in REASON_TABLE.items()},
        "severity": {severity.value: severity.value for severity in SEVERITIES},
        "policy": {str(policy.id): policy.name for policy in policies},
        "time": {period.value: words for period, words in PERIODS.items()},
    }
