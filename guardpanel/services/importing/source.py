"""A haproxy.cfg as sections of lines. Lines that no section gets have their outcome here."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from guardpanel.errors import Invalid
from guardpanel.field_codes import FieldCode
from guardpanel.services.importing.blocks import Blocks
from guardpanel.services.importing.outcomes import Ledger, Line, printable
from guardpanel.services.importing.tokens import LineError, split

LARGEST = 2 * 1024**2
"Bytes."

MOST_LINES = 20_000

PROXIES = frozenset({"frontend", "listen", "backend"})

LISTENING = PROXIES - {"backend"}

SECTIONS = PROXIES | {
    "global", "defaults", "peers", "resolvers", "userlist", "mailers", "program", "cache", "http-errors", "ring",
    "log-forward", "log-profile", "fcgi-app", "crt-store", "traces", "acme",
}  # fmt: skip

OLD_TIMEOUTS = {"contimeout": "connect", "clitimeout": "client", "srvtimeout": "server"}
"As HAProxy names them since 1.4."

MESSAGES = frozenset({".notice", ".warning", ".alert", ".diag"})


@dataclass
class Section:
    kind: str
    name: str
    head: Line
    lines: list[Line] = field(default_factory=list)
    unread: list[tuple[Line, str]] = field(default_factory=list)
    "Lines that may count, and why that is not known."
    defaults: "Section | None" = None
    "Whose lines come before its own."

    @property
    def chain(self) -> list["Section"]:
        """The defaults sections that count, from the farthest to the nearest."""
        nearest, chain = self.defaults, []
        while nearest is not None:
            chain.append(nearest)
            nearest = nearest.defaults
        return chain[::-1]

    @property
    def inherits(self) -> int:
        """How many lines come before its own, with the heads of their sections."""
        return sum(1 + len(each.lines) for each in self.chain)


@dataclass
class Source:
    sections: list[Section]
    texts: Mapping[int, str]
    "All lines but blank ones and comments."
    ledger: Ledger


def text_of(content: bytes) -> str:
    """Raises Invalid (422) if this can't be a haproxy.cfg."""
    if len(content) > LARGEST:
        raise Invalid.at(
            "file", f"At most {LARGEST // 1024**2} MiB. A haproxy.cfg is a text of some KiB.", FieldCode.TOO_LONG
        )
    if b"\0" in content:
        raise Invalid.at("file", "This is not a text: it has a NUL byte.")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Invalid.at("file", f"Line {line} is not UTF-8.") from None


def read(text: str, environment: Mapping[str, str], ledger: Ledger) -> Source:
    """Raises Invalid (422)."""
    rows = [row.rstrip("\r") for row in text.split("\n")]
    texts = {no: row.strip() for no, row in enumerate(rows, 1) if row.strip() and not row.lstrip().startswith("#")}
    if len(texts) > MOST_LINES:
        raise Invalid.at("file", f"At most {MOST_LINES:,} lines.", FieldCode.TOO_LONG)
    source = Source([], texts, ledger)
    reading = _Reading(source, dict(environment))
    for number, row in texts.items():
        ledger.spend(1)
        reading.take(number, row)
    if not source.sections:
        raise Invalid.at("file", "This is not a haproxy.cfg: it has no section, such as “frontend”.")
    return source


class _Reading:
    def __init__(self, source: Source, environment: dict[str, str]) -> None:
        self._source, self._environment = source, environment
        self._blocks = Blocks(environment)
        self._defaults: Section | None = None
        self._named: dict[str, Section] = {}

    def take(self, number: int, text: str) -> None:
        line, ledger = Line(number, text), self._source.ledger
        try:
            words = split(text, self._environment)
        except LineError as error:
            self._unread(line, str(error))
            return
        if words and (words[0] in MESSAGES or self._blocks.take(words)):
            ledger.left(line, "A condition of the file itself: it was decided while reading.")
        elif why := self._blocks.why_not():
            if self._blocks.is_undecided:
                self._unread(line, why)
            ledger.left(line, why)
        elif words and words[0] in SECTIONS:
            self._begin(Line(number, text, tuple(words)))
        elif words:
            self._add(Line(number, text, tuple(words)))
        else:
            ledger.left(line, "Nothing is in this line.")

    def _unread(self, line: Line, why: str) -> None:
        self._source.ledger.left(line, why)
        if self._source.sections:
            self._source.sections[-1].unread.append((line, why))

    def _begin(self, head: Line) -> None:
        kind, name = head.words[0], head.words[1] if len(head.words) > 1 else ""
        section = Section(kind, "" if name == "from" else name, head)
        if kind in PROXIES | {"defaults"}:
            section.defaults = self._base(head, section)
            self._source.ledger.spend(section.inherits)
        if kind == "defaults":
            self._defaults = section
            self._named |= {section.name: section} if section.name else {}
        self._source.sections.append(section)
        if kind in LISTENING and len(head.words) > 2 and "from" not in head.words[1:3]:
            section.lines.append(Line(head.number, head.text, ("bind", head.words[2])))  # Of HAProxy 1.

    def _base(self, head: Line, section: Section) -> Section | None:
        if "from" not in head.words[1:-1]:
            return self._defaults if section.kind != "defaults" else None
        name = head.words[head.words.index("from", 1) + 1]
        if section.kind == "defaults" and name == section.name:
            raise Invalid.at("file", f"Line {head.number}: the defaults section {printable(name)} is made from itself.")
        if name not in self._named:
            raise Invalid.at("file", f"Line {head.number}: no defaults section before it is named {printable(name)}.")
        return self._named[name]

    def _add(self, line: Line) -> None:
        if not self._source.sections:
            self._source.ledger.left(line, "It is in no section.")
            return
        words, section = line.words, self._source.sections[-1]
        if words[0] in {"setenv", "presetenv"} and len(words) == 3 and section.kind == "global":
            keeps = words[0] == "presetenv" and words[1] in self._environment
            self._environment |= {} if keeps else {words[1]: words[2]}
        if words[0] == "unsetenv" and section.kind == "global":
            for name in words[1:]:
                self._environment.pop(name, None)
        if words[0] == "no" and len(words) > 1:
            line = Line(line.number, line.text, words[1:], is_no=True)
        if words[0] in OLD_TIMEOUTS:
            line = Line(line.number, line.text, ("timeout", OLD_TIMEOUTS[words[0]], *words[1:]))
        section.lines.append(line)
