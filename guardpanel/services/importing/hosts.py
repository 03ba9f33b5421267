"""Virtual hosts as they are being put together: every value is validated when it is set, and what is refused becomes a note."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from guardpanel.errors import Invalid
from guardpanel.models import NOUNS
from guardpanel.models.meta import about, lowered
from guardpanel.services.importing.outcomes import Ledger, Line, printable
from guardpanel.services.input import validated

Values = dict[str, Any]

SMALLEST: Mapping[str, Values] = {
    "virtual_host": {"hostnames": ["a.invalid"], "servers": [{"address": "127.0.0.1:1"}]},
    "path_binding": {"path": "/a", "enforcement_mode": "off"},
    "policy": {"name": "a"},
    "header_rule": {},
    "address_list": {"name": "a"},
}
"What a row needs to be valid, beside what is tried."

MOST_NOTES = 9_000
"Characters of a virtual host's notes that lines may fill."

INTRODUCTION = "From haproxy.cfg, not imported:"


def refusal(key: str, values: Values) -> str:
    """Why a row of this noun can't have these values. Empty: it can."""
    model: type[BaseModel] = NOUNS[key].fields
    known = {name: value for name, value in values.items() if name not in NOUNS[key].references}
    try:
        validated(model, {**SMALLEST[key], **known})
    except Invalid as problem:
        return next((error.message for error in problem.errors.values()), problem.message)
    return ""


SECRET = re.compile(
    r"authorization|passw(?:or)?d|passphrase|\bpass\b|pwd|secret|credential|token|(?:api|access|private)[-_]?key|\bauth\b|cookie",
    re.IGNORECASE,
)


def without_secret(text: str) -> str:
    """What a note keeps of a line that may have one: notes are in exports, and for viewers."""
    match = SECRET.search(text)
    return f"{text[: match.end()]} … (see the file)" if match else text


@dataclass
class Row:
    """What lines set: a virtual host, or a path of one."""

    noun: str
    host: str
    "Whose outcomes and notes they are."
    ledger: Ledger
    values: Values = field(default_factory=dict)
    where: str = ""
    "Before the host's name: `path /api of`."

    def put(self, line: Line, name: str, value: Any, remark: str = "") -> bool:
        """Whether the row has it now."""
        field_about = about(NOUNS[self.noun].fields).get(name)
        if field_about is None:
            self.note(line, "A path has this from its virtual host.")
        elif why := refusal(self.noun, {name: value}):
            self.note(line, why)
        else:
            self.values[name] = value
            self.became(line, f"{lowered(field_about.title)}{f' ({remark})' if remark else ''}")
            return True
        return False

    def became(self, line: Line, what: str) -> None:
        self.ledger.became(line, f"{what}{f' of {self.where}' if self.where else ''}", self.host)

    def note(self, line: Line, why: str = "") -> None:
        self.ledger.note(line, self.host, f"Path {self.where.split()[-1]}: {why}" if self.where else why)


@dataclass
class Host(Row):
    """A virtual host."""

    hostname: str = ""
    "The first of them, as rules decide by it. Empty: it serves what no rule names."
    hostnames: list[str] = field(default_factory=list)
    servers: list[Values] = field(default_factory=list)
    paths: list[Values] = field(default_factory=list)
    headers: list[Values] = field(default_factory=list)
    policy: str = ""
    backend: str = ""
    redirects: set[int] = field(default_factory=set)
    "The numbers of the lines that redirect all of it."
    overtaken: set[int] = field(default_factory=set)
    "Of redirects that come after such a line: no request reaches them."
    has_tls: bool = False
    "Whether the file listens for TLS, for whichever hostname."

    def close(self, line: Line, why: str) -> None:
        """Keep the line as a note, and the virtual host disabled: without the line, it might serve whom it should not."""
        self.note(line, why)
        self.values["enabled"] = False

    def path(self, how: str, path: str) -> Values | None:
        return next((row for row in self.paths if (row["path_match"], row["path"]) == (how, path)), None)

    def item(self, lines: list[Line]) -> Values:
        """The row of the file. `lines`: those that are notes here, all that may be."""
        values: Values = {"name": self.host, "hostnames": self.hostnames}
        values |= {"servers": self.servers} if self.servers else {}
        values["policy"] = self.policy
        notes = self._notes(lines)
        lists = {"notes": notes, "path_bindings": self.paths, "header_rules": self.headers}
        return {**values, **self.values, **{name: value for name, value in lists.items() if value}}

    def _notes(self, lines: list[Line]) -> str:
        notes = INTRODUCTION if lines else ""
        for line in lines:
            row = f"\n{line.number}: {without_secret(printable(line.text))}"
            if len(notes) + len(row) > MOST_NOTES:
                self.ledger.forget_note(line, self.host, f"The notes of {self.host} have no room for it.")
            else:
                notes += row
        return notes
