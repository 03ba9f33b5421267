"""What a custom rule looks at: `ARGS:q`, `!ARGS:/^x_/`, `&REQUEST_HEADERS:Host`, as Coraza takes them."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from guardpanel.field_codes import FieldCode
from guardpanel.models.patterns import pattern
from guardpanel.models.refusing import refuse
from guardpanel.models.rules.seclang import split_targets
from guardpanel.models.rules.seclang_names import COLLECTIONS, OF_RULES, RESPONSE, VARIABLES
from guardpanel.models.types import visible

MOST_TARGETS, LONGEST_TARGET = 20, 150
"Coraza drops a line of 64 KiB: a character of a name may become ten there."

WRITTEN = re.compile(r"(?P<mark>[!&]?)(?P<variable>[A-Za-z_]+)(?::(?P<key>.+))?")
PLAIN_KEY = re.compile(r"[A-Za-z0-9_.$@\[\]-]+")
ANY_CASE = "(?i)"
"Coraza lowers a pattern's letters, but not those of the names that it is compared with."

XML_KEYS = {"/*", "//@*"}

SELECTABLE = {*COLLECTIONS, "RESPONSE_HEADERS", "RESPONSE_HEADERS_NAMES", "TX", "RULE", "MATCHED_VARS"}
PHASES = {1: "Request headers", 2: "Request body", 3: "Response headers", 4: "Response body"}


IN_TEXT: Mapping[str, int] = {**RESPONSE, **dict.fromkeys(OF_RULES, 1)}


class Target(NamedTuple):
    mark: str
    variable: str
    key: str

    def __str__(self) -> str:
        return f"{self.mark}{self.variable}{':' * bool(self.key)}{self.key}"

    @property
    def has_pattern(self) -> bool:
        return len(self.key) > 1 and self.key[0] == self.key[-1] == "/"


def target_lines(value: object) -> object:
    """A textarea's lines, or SecLang's `A|B`, as a list."""
    if not isinstance(value, str):
        return value
    lines = value.replace("\r", "\n").split("\n")
    return [target.strip() for line in lines for target in split_targets(line) if target.strip()]


def known_targets(entries: Sequence[str], phase: int, *, in_text: bool = False) -> list[str]:
    """In the form that Coraza reads as it is meant. `in_text`: of a rule that is written in SecLang."""
    known: Mapping[str, int] = {**VARIABLES, **(IN_TEXT if in_text else {})}
    targets = [_target(visible(entry.strip()), known, phase) for entry in dict.fromkeys(entries)]
    for at, target in enumerate(targets):
        if target.mark == "!" and not any(_is_narrowed(earlier, target) for earlier in targets[:at]):
            raise refuse(f"{target} leaves nothing out. List {target.variable} before it.")
    if not any(target.mark != "!" for target in targets):
        raise refuse("Enter at least 1 variable, for example ARGS:q.")
    if len(targets) > MOST_TARGETS:
        raise refuse(f"At most {MOST_TARGETS} variables.", FieldCode.TOO_LONG)
    return list(map(str, targets))


def _is_narrowed(target: Target, exception: Target) -> bool:
    if target.mark == "!" or target.variable != exception.variable:
        return False
    return not target.key or target.has_pattern or exception.has_pattern or target.key.lower() == exception.key.lower()


def _target(entry: str, known: Mapping[str, int], phase: int) -> Target:
    parts = WRITTEN.fullmatch(entry)
    if len(entry) > LONGEST_TARGET:
        raise refuse(f"At most {LONGEST_TARGET} characters: {entry[:60]} … has {len(entry):,}.", FieldCode.TOO_LONG)
    if not parts:
        raise refuse(f"{entry[:60]} is not a variable. For example, ARGS:q or !ARGS:q.")
    mark, variable, key = parts["mark"], parts["variable"].upper(), (parts["key"] or "").strip()
    if variable not in known:
        raise refuse(f"There is no variable {variable[:60]}.{_similar(variable, known)}", FieldCode.NOT_FOUND)
    if known[variable] > phase:
        raise refuse(f"{variable} is not known in phase {PHASES[phase]} yet. Choose phase {PHASES[known[variable]]}.")
    if key and variable not in SELECTABLE:
        raise refuse(f"{variable} is one value: remove :{key[:40]}.")
    if mark == "!" and not key:
        raise refuse(f"Name what !{variable} leaves out, for example !{variable}:q.")
    if mark == "&" and variable not in SELECTABLE:
        raise refuse(f"{variable} is one value: there is nothing to count.")
    return Target(mark, variable, _key(variable, key))


def _similar(variable: str, known: Collection[str]) -> str:
    similar = [name for name in known if variable in name or name in variable][:3]
    return f" Did you mean {' or '.join(similar)}?" if similar else ""


def _key(variable: str, key: str) -> str:
    if variable == "XML":
        if key not in XML_KEYS:
            raise refuse("Enter XML:/* for all texts, or XML://@* for all attributes.")
        return key
    if len(key) > 1 and key[0] == key[-1] == "/":
        return f"/{_name_pattern(key[1:-1])}/"
    if not key or PLAIN_KEY.fullmatch(key):
        return key
    return f"/{ANY_CASE}^{''.join(map(_exactly, key))}$/"


def _name_pattern(text: str) -> str:
    pattern(text)
    if re.search(r"\\[DWSB]", re.sub(r"\\\\", "", text)):
        raise refuse("Coraza reads patterns of names in lower case: \\D would be \\d. Write [^0-9].")
    if re.search(r"(?<!\\)(?:\\\\)*/", text):
        raise refuse("Write / within a pattern as \\/.")
    text = re.sub(r"[ '\"]", lambda sign: f"\\x{ord(sign[0]):02x}", text)
    return text if text.startswith(ANY_CASE) else f"{ANY_CASE}{text}"


def _exactly(character: str) -> str:
    """As its number, where it is a sign of ASCII."""
    if len(character.lower()) > 1:
        raise refuse(f"{character} can’t be part of a name here: Coraza would take it for another letter.")
    return character if character == "_" or character.isalnum() or ord(character) > 127 else f"\\x{ord(character):02x}"
