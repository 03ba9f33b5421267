"""The filters of the access log: in the URL, and as sentences above the list."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from guardpanel.events.words import VERDICT_TABLE
from guardpanel.models.meta import about
from guardpanel.services.events.access_log import PASSED
from guardpanel.services.events.log_question import LogQuestion
from guardpanel.views.event_filters import LONGEST, Box
from guardpanel.views.forms import Form

FIELDS = about(LogQuestion)

CHOICES: Mapping[str, Mapping[str, str]] = {
    "status": {**{f"{digit}xx": f"{digit}xx" for digit in range(2, 6)}, "none": "none"},
    "verdict": {PASSED: "Passed", **{verdict.value: words.label for verdict, words in VERDICT_TABLE.items()}},
    "method": {name: name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")},
}

VERBS = {"path": "contains"}


class LogFilters:
    """The typed filters, and URLs of the page with others."""

    def __init__(self, path: str, query: QueryParams) -> None:
        self.PATH = path
        typed = {name: query.get(name, "").strip()[:LONGEST] for name in FIELDS}
        self.kept = {name: value for name, value in typed.items() if value}
        self.paused = "1" if query.get("paused") else ""
        self.form = Form({name: [value] for name, value in self.kept.items()}, model=LogQuestion)

    @property
    def refused_links(self) -> list[dict[str, str]]:
        """Errors by field."""
        return [
            {"label": f"{FIELDS[name].title}: {error.message}", "url": f"#f-{name}"}
            for name, error in self.form.errors.items()
        ]

    def url(self, **changed: object) -> str:
        """From the newest line on, unless an offset is given."""
        values = {**self.kept, "paused": self.paused, **changed}
        query = urlencode({name: str(value) for name, value in values.items() if value not in {"", None}})
        return self.PATH + (f"?{query}" if query else "")

    def others(self, *names: str) -> dict[str, str]:
        """The hidden inputs of a form with these fields."""
        kept = {**self.kept, "paused": self.paused}
        return {name: value for name, value in kept.items() if value and name not in names}

    @property
    def boxes(self) -> list[Box]:
        return [self._box(name) for name in FIELDS]

    def _box(self, name: str) -> Box:
        typed, choices = self.kept.get(name, ""), CHOICES.get(name, {})
        options: list[dict[str, Any]] = [
            {"label": label, "url": self.url(**{name: value}), "current": value == typed}
            for value, label in choices.items()
        ]
        clear = self.url(**{name: ""}) if typed else ""
        verb = "is" if typed.startswith("/") else VERBS.get(name, "is")
        return Box(name, FIELDS[name].title, choices.get(typed, typed)[:80], clear, options, verb)
