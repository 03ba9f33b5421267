"""Frontends and backends with what their defaults give them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from guardpanel.services.importing.acls import Files
from guardpanel.services.importing.conditions import Condition, Conditions, split_rule
from guardpanel.services.importing.outcomes import Ledger, Line
from guardpanel.services.importing.reasons import reason
from guardpanel.services.importing.source import LISTENING, Section, Source

REPEATED = frozenset({
    "acl", "bind", "server", "server-template", "default-server", "use_backend", "use-server", "redirect", "http-request",
    "http-response", "http-after-response", "tcp-request", "tcp-response", "http-check", "tcp-check", "errorfile", "errorloc",
    "errorloc302", "errorloc303", "http-error", "stats", "log", "filter", "compression", "stick", "capture", "stick-table",
    "reqadd", "reqrep", "reqirep", "rspadd", "rspdel", "reqdel", "block", "force-persist", "ignore-persist", "monitor",
    "option ssl-hello-chk",
})  # fmt: skip
"Of others, the last one counts."

OLD_DENIES = frozenset({"reqdeny", "reqideny", "reqtarpit", "reqitarpit"})
"Of HAProxy 1."

RULES = (
    frozenset({"acl", "http-request", "http-response", "http-after-response", "tcp-request", "redirect", "block"})
    | OLD_DENIES
)

PASSING_ON = frozenset({"server", "server-template", "use_backend", "default_backend", "redirect", "dispatch"})

PAIRED = frozenset({"option", "timeout"})

DENIES = frozenset({
    ("http-request", "deny"), ("http-request", "reject"), ("http-request", "silent-drop"), ("http-request", "tarpit"),
    ("tcp-request", "connection", "reject"), ("tcp-request", "content", "reject"), ("block",),
}) | {(keyword,) for keyword in OLD_DENIES}  # fmt: skip

LOCAL = re.compile(r"(?:ipv[46]@)?(?:127\.|localhost:|\[?::1\]?:)|unix@|abnsz?@|/")
"Where a listener is for this machine alone."

HTTP_PORTS = {"443", "80"}


@dataclass
class Context:
    """What reading a file has: its sections by name, the files beside it, and which rules use which ACL."""

    source: Source
    files: Files
    hostnames: Mapping[str, str] = field(default_factory=dict)
    "Of frontends that serve every hostname, by frontend."
    users: dict[int, dict[int, Line]] = field(default_factory=dict)
    "By the numbers of both."
    _conditions: dict[int, Conditions] = field(default_factory=dict)
    _of_lines: dict[tuple[int, int], Condition] = field(default_factory=dict)

    @property
    def ledger(self) -> Ledger:
        return self.source.ledger

    def condition(self, section: Section, line: Line) -> Condition:
        """Of a rule."""
        key = section.head.number, line.number
        if key not in self._of_lines:
            self._of_lines[key] = self._read(section, line)
        return self._of_lines[key]

    def _read(self, section: Section, line: Line) -> Condition:
        number = section.head.number
        if number not in self._conditions:
            lines = [*inherited(section), *section.lines]
            self._conditions[number] = Conditions(lines, self.files, self.ledger)
        condition = self._conditions[number].read(split_rule(line.words)[1])
        for acl in condition.acl_lines:
            self.users.setdefault(acl.number, {})[line.number] = line
        return condition

    def backend(self, name: str) -> Section | None:
        return self._backends.get(name)

    @cached_property
    def has_tls(self) -> bool:
        """Whether it listens for visitors over TLS."""
        sections = (each for each in self.source.sections if each.kind in LISTENING and is_http(each))
        return any(line.keyword == "bind" and "ssl" in line.words for each in sections for line in each.lines)

    @cached_property
    def _backends(self) -> dict[str, Section]:
        """The first of each name."""
        return {each.name: each for each in reversed(self.source.sections) if each.kind in {"backend", "listen"}}


def inherited(section: Section) -> list[Line]:
    return [line for each in section.chain for line in each.lines]


def key_of(line: Line) -> str:
    return " ".join(line.words[:2]) if line.keyword in PAIRED else line.keyword


def effective(section: Section, ledger: Ledger) -> list[Line]:
    """The lines that count, those of the defaults first. What a later line overrides is left."""
    lines = [line for line in inherited(section) if line.keyword not in RULES] + section.lines
    last = {key_of(line): line for line in lines if key_of(line) not in REPEATED | RULES}
    for line in lines:
        if (later := last.get(key_of(line), line)) is not line:
            ledger.left(line, reason(line) or f"Line {later.number} overrides it.")
    counting = [line for line in lines if last.get(key_of(line), line) is line]
    for line in counting:
        if line.is_no:
            ledger.left(line, "It switches off what is off without it.")
    return [line for line in counting if not line.is_no]


def is_http(section: Section) -> bool:
    modes = [line for line in [*inherited(section), *section.lines] if line.keyword == "mode"]
    return bool(modes) and modes[-1].words[1:2] == ("http",)


def is_statistics(section: Section) -> bool:
    """It answers itself, and nothing of it is about visitors: `listen stats`, or a frontend for Prometheus."""
    answers = any(line.keyword == "stats" or "use-service" in line.words[:2] for line in section.lines)
    return answers and not any(line.keyword in PASSING_ON for line in section.lines)


def rules(section: Section) -> list[Line]:
    """In a section that gets requests."""
    return [line for line in inherited(section) if line.keyword in RULES] + section.lines


def ports(section: Section) -> set[str]:
    return {address.rpartition(":")[2] for address in addresses(section)}


def is_local(section: Section) -> bool:
    """It listens for this machine alone."""
    return all(LOCAL.match(address) for address in addresses(section))


def addresses(section: Section) -> list[str]:
    binds = (line.words[1] for line in section.lines if line.keyword == "bind" and len(line.words) > 1)
    return [part for bind in binds for part in bind.split(",")]


def is_denial(line: Line) -> bool:
    return any(line.words[: len(words)] == words for words in DENIES)


def main_first(sections: Iterable[Section]) -> list[Section]:
    """Those that listen on the usual ports first: the others’ unknown hostnames are not asked for."""
    return sorted(sections, key=lambda each: not ports(each) & HTTP_PORTS)
