"""The filters of Rules: in the URL, and as sentences above the list."""

from collections.abc import Mapping

from starlette.datastructures import QueryParams

from guardpanel.events.words import Severity
from guardpanel.models.meta import about
from guardpanel.services.rules.families import FAMILIES
from guardpanel.services.rules.question import KINDS, LEVELS, PHASES, SORTS, STATES, RuleQuestion
from guardpanel.views.event_filters import Box
from guardpanel.views.forms import Form
from guardpanel.views.lists import Listing

PATH = "/rules"
LONGEST = 200
"Characters of a typed value that are shown again."

FIELDS = about(RuleQuestion)

CHOICES: Mapping[str, Mapping[str, str]] = {
    "kind": KINDS,
    "family": {str(number): f"{number} {family.name}" for number, family in FAMILIES.items()},
    "paranoia_level": {str(level): str(level) for level in LEVELS},
    "severity": {
        level.value: level.value.title() for level in (Severity.CRITICAL, Severity.ERROR, Severity.WARNING, Severity.NOTICE)
    },
    "phase": {str(number): name for number, name in PHASES.items()},
}  # fmt: skip
"Labels of the values, by field, besides policies and what they do. Tags are linked from a rule's page."


class RuleFilters:
    """The typed filters, and URLs of the list with others."""

    def __init__(self, query: QueryParams, policies: Mapping[str, str]) -> None:
        """`policies`: their names, by ID."""
        kept = {name: query.get(name, "").strip()[:LONGEST] for name in RuleQuestion.model_fields}
        sort, offset = query.get("sort", "id"), query.get("offset", "0")
        known = sort.removeprefix("-") in SORTS
        start = int(offset) if offset.isascii() and offset.isdigit() and len(offset) < 8 else 0
        self.listing = Listing(PATH, sort if known else "id", start, kept, usual="id")
        self.choices = {**CHOICES, "policy": policies, **({"state": STATES} if kept["policy"] else {})}
        self.form = Form({name: [value] for name, value in kept.items() if value}, model=RuleQuestion)

    @property
    def refused_links(self) -> list[dict[str, str]]:
        """Links to the list without each invalid field."""
        return [
            {"label": f"{FIELDS[name].title}: {error.message}", "url": self.listing.url(**{name: ""})}
            for name, error in self.form.errors.items()
        ]

    def others(self, name: str) -> dict[str, str]:
        """The hidden inputs of a form with this field."""
        return {kept: value for kept, value in self.listing.kept.items() if value and kept != name}

    @property
    def boxes(self) -> list[Box]:
        return [self._box(name) for name in FIELDS if name != "q" and (name in self.choices or self.listing.kept[name])]

    def _box(self, name: str) -> Box:
        typed, choices = self.listing.kept[name], self.choices.get(name, {})
        options = [
            {"label": label, "url": self.listing.url(**{name: value}), "current": value == typed}
            for value, label in choices.items()
        ]
        gone = {"policy": "", "state": ""} if name == "policy" else {name: ""}
        clear = self.listing.url(**gone) if typed else ""
        return Box(name, FIELDS[name].title, choices.get(typed, typed)[:80], clear, options)
