"""What became of each line: exactly one outcome."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from guardpanel.errors import Invalid
from guardpanel.models.types import hidden_character
from guardpanel.services.site_file.nodes import Unwanted

Kind = Literal["became", "note", "left"]

LONGEST_TEXT = 300
"Characters of a line that are repeated anywhere."

MOST_NAMED = 3
"Virtual hosts that an outcome names. Of more, it says how many."

MOST_STEPS = 1_000_000
"Of reading one file: lines that are looked at for a hostname, for a proxy, or in a list beside the file."

OF_OUTCOME = 5
"Steps that an outcome of one virtual host takes, about: its value is validated."

OF_NAME = 100
"Steps that a hostname of a map or list takes, about: it is encoded and validated."

UNKNOWN = "guardpanel has nothing for this."


@dataclass(frozen=True)
class Line:
    number: int
    text: str
    words: tuple[str, ...] = ()
    is_no: bool = False
    "`no option …`: switches off what defaults switched on."

    @property
    def keyword(self) -> str:
        return self.words[0] if self.words else ""

    def after(self, count: int) -> tuple[str, ...]:
        return self.words[count:]


@dataclass(frozen=True)
class Outcome:
    line: int
    text: str
    kind: Kind
    what: str
    "Such as `server timeout of shop.example`, or why it was left."


def printable(text: str) -> str:
    """As it may be shown and stored, whatever its bytes are."""
    clean = "".join("\ufffd" if hidden_character(sign, allow="") else sign for sign in text.replace("\t", " "))
    return clean if len(clean) <= LONGEST_TEXT else clean[: LONGEST_TEXT - 1] + "…"


def named(hosts: Iterable[str]) -> str:
    """`a.example, b.example and 4 more`"""
    names = list(dict.fromkeys(hosts))
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")


@dataclass
class _OfLine:
    became: dict[str, list[str]] = field(default_factory=dict)
    "What, with the virtual hosts that have it."
    noted: dict[str, list[str]] = field(default_factory=dict)
    "Why it is a note, with its virtual hosts."
    left: str = ""


class Ledger:
    """All that is known of each line. A line that became something for one virtual host and not for another is a note there."""

    def __init__(self, unwanted: threading.Event | None = None) -> None:
        self._unwanted = unwanted
        self._lines: dict[int, _OfLine] = {}
        self._of_host: dict[str, dict[int, None]] = {}
        self._steps = 0

    def spend(self, steps: int) -> None:
        """Raises Invalid (422) once reading has taken too many: a file's lines may multiply, and the panel serves others, too.
        Raises Unwanted if it is not waited for any more."""
        if self._unwanted is not None and self._unwanted.is_set():
            raise Unwanted
        self._steps += steps
        if self._steps > MOST_STEPS:
            raise Invalid.at("file", "Its hostnames, rules and lists are too many together. Import it in parts.")

    def became(self, line: Line, what: str, *hosts: str) -> None:
        self._of(line, *hosts).became.setdefault(what, []).extend(hosts)

    def note(self, line: Line, host: str, why: str = "") -> None:
        self._of(line, host).noted.setdefault(why, []).append(host)

    def left(self, line: Line, why: str) -> None:
        """The first reason stays."""
        of_line = self._of(line)
        of_line.left = of_line.left or why

    def forget_note(self, line: Line, host: str, why: str) -> None:
        """There was no room for it."""
        noted = self._of(line).noted
        for reason in [reason for reason, hosts in noted.items() if host in hosts]:
            noted[reason] = [name for name in noted[reason] if name != host]
            if not noted[reason]:
                del noted[reason]
        self.left(line, why)

    def forget_host(self, host: str, why: str) -> None:
        """There is no such virtual host after all."""
        for of_line in [self._lines[number] for number in self._of_host.pop(host, ())]:
            for by_what in (of_line.became, of_line.noted):
                for what in [what for what, hosts in by_what.items() if host in hosts]:
                    by_what[what] = [name for name in by_what[what] if name != host]
                    if not by_what[what]:
                        del by_what[what]
                    of_line.left = of_line.left or why

    def hosts_of_note(self, line: Line) -> list[str]:
        return [name for hosts in self._lines.get(line.number, _OfLine()).noted.values() for name in hosts]

    def kind(self, line: Line) -> Kind:
        of_line = self._lines.get(line.number, _OfLine())
        return "note" if of_line.noted else "became" if of_line.became else "left"

    def is_known(self, line: Line) -> bool:
        return line.number in self._lines

    def outcomes(self, lines: Mapping[int, str]) -> list[Outcome]:
        return [Outcome(number, printable(text), *self._outcome(number)) for number, text in sorted(lines.items())]

    def _of(self, line: Line, *hosts: str) -> _OfLine:
        self.spend(OF_OUTCOME * len(hosts))
        for host in hosts:
            self._of_host.setdefault(host, {})[line.number] = None
        return self._lines.setdefault(line.number, _OfLine())

    def _outcome(self, number: int) -> tuple[Kind, str]:
        self.spend(0)
        of_line = self._lines.get(number, _OfLine())
        kind, what = self._described(of_line)
        return kind, printable(what)

    def _described(self, of_line: _OfLine) -> tuple[Kind, str]:
        parts = [f"{what} of {named(hosts)}" if hosts else what for what, hosts in of_line.became.items()]
        if of_line.noted:
            hosts = [name for names in of_line.noted.values() for name in names]
            reasons = [why for why in of_line.noted if why]
            *sentences, last = [named(hosts), *reasons[:2], *(f"Became {part}" for part in parts[:2])]
            return "note", ". ".join([*(each.removesuffix(".") for each in sentences), last])
        if parts:
            return "became", "; ".join(parts[:MOST_NAMED]) + ("; …" if len(parts) > MOST_NAMED else "")
        return "left", of_line.left or UNKNOWN
