"""Which of the values that applications are handed does no rule see?

A value is seen where a rule sees it, or more around it, under the same name. Rules look at a value in several decodings; one
that a parser hands out less decoded than rules see it is seen. What no rule can tell apart from nothing (white space, letters
that are not ASCII's) is left out of the comparison.
"""

import html
import re
import urllib.parse
from collections.abc import Iterable, Sequence

from tests.parsers.agent import Judged
from tests.parsers.body import Value

NOT_COMPARED = re.compile(rb"[^\x21-\x7e]+")
ORDINARY = re.compile(r"[^\W]+([ .:-]\w+)*(\[[^]]*\])*")
"""Names that an application may ask for, and somebody may have excluded from a rule. A value that has another one is seen
under any."""
WORDS = re.compile(r"[A-Za-z0-9]+")

FORM, XML = {"ARGS", "ARGS_POST"}, {"XML", "REQUEST_XML"}
VARIABLES = {"field": FORM, "json": FORM, "file": {"FILES", "MULTIPART_FILENAME"} | FORM, "xml": XML | FORM}
NAMELESS = XML | {"FILES"}
"""Variables of which rules do not know the names that an application knows."""


def unseen(judged: Judged, handed: Iterable[Value]) -> list[Value]:
    """Each value that no rule sees under its name."""
    if judged.refused_by:
        return []
    sights = [Sight(*sight) for sight in judged.values]
    return [value for value in handed if not any(sight.shows(value) for sight in sights) and not is_nothing(value)]


def is_nothing(value: Value) -> bool:
    return not compared(value.text) and (value.place in {"file", "xml"} or not words(value.name))


class Sight:
    """One value as rules see it."""

    def __init__(self, variable: str, name: str, text: bytes) -> None:
        self.variable, self.name, self.text = variable, words([name]), text
        self.ordinary = ORDINARY.fullmatch(name) is not None
        self.readings: frozenset[bytes] = frozenset()

    def shows(self, value: Value) -> bool:
        if self.variable not in VARIABLES[value.place] or not self.is_named(value):
            return False
        self.readings = self.readings or decodings(self.text)
        return any(wanted in reading for wanted in decodings(value.text) for reading in self.readings)

    def is_named(self, value: Value) -> bool:
        wanted = words(value.name)
        if not wanted or not self.ordinary or self.variable in NAMELESS or not ORDINARY.fullmatch(value.name[0]):
            return True
        return wanted in (self.name, self.name[1:])


def words(path: Sequence[str]) -> list[str]:
    """A name's letters and digits in order. PHP writes `_` for much else; items of lists are counted or not."""
    return [word for part in path for word in WORDS.findall(urllib.parse.unquote(part)) if not word.isdigit()]


def decodings(text: bytes) -> frozenset[bytes]:
    """As the rule set's transformations have it: removeNulls, then urlDecodeUni, htmlEntityDecode or jsDecode."""
    text = text.replace(b"\0", b"")
    letters = text.decode("latin-1")
    read = (
        text,
        urllib.parse.unquote_to_bytes(text.replace(b"+", b" ")),
        html.unescape(letters).encode("utf-8", "replace"),
        html.unescape(html.unescape(letters)).encode("utf-8", "replace"),
        re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), letters).encode("utf-8", "replace"),
    )
    return frozenset(map(compared, read))


def compared(text: bytes) -> bytes:
    return NOT_COMPARED.sub(b"", text)
