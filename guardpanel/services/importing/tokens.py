"""A line's words by HAProxy's rules of quoting (HAProxy configuration manual, 2.2). A backslash at the end continues nothing."""

import re
from collections.abc import Callable, Mapping

ESCAPED = {" ": " ", "\\": "\\", "#": "#", '"': '"', "'": "'", "$": "$", "n": "\n", "r": "\r", "t": "\t"}

VARIABLE = re.compile(r"\$(?:\{(\.?\w+)(\[\*\])?(?:-((?:\\.|[^}\\])*))?\}|(\.?[A-Za-z_]\w*))", re.ASCII)

HEX = re.compile(r"[0-9A-Fa-f]{2}")

SPACE = " \t\v\f"


class LineError(Exception):
    """Why a line has no words. HAProxy would refuse most of these."""


class _Splitting:
    def __init__(self, text: str, environment: Mapping[str, str]) -> None:
        self.text, self.environment = text, environment
        self.words: list[str] = []
        self._word: list[str] | None = None
        self._quote = ""
        self._at = 0

    def run(self) -> list[str]:
        while self._at < len(self.text):
            sign = self.text[self._at]
            if sign == "#" and not self._quote:
                break
            self._taken(sign)(sign)
        if self._quote:
            raise LineError("A quote is not closed.")
        self._end()
        return self.words

    def _taken(self, sign: str) -> Callable[[str], None]:
        if sign == (self._quote or sign) and sign in {'"', "'"}:
            return self._quoted
        if sign == "\\" and self._quote != "'":
            return self._escaped
        if sign == "$" and self._quote == '"':
            return self._variable
        return self._plain if self._quote or sign not in SPACE else self._space

    def _add(self, text: str, length: int) -> None:
        if self._word is None:
            self._word = []
        self._word.append(text)
        self._at += length

    def _plain(self, sign: str) -> None:
        self._add(sign, 1)

    def _space(self, _sign: str) -> None:
        self._end()
        self._at += 1

    def _quoted(self, sign: str) -> None:
        self._quote = "" if self._quote else sign
        self._add("", 1)

    def _escaped(self, sign: str) -> None:
        following = self.text[self._at + 1 : self._at + 2]
        if following == "x":
            digits = HEX.match(self.text, self._at + 2)
            if digits is None:
                raise LineError("\\x needs two hexadecimal digits.")
            self._add(chr(int(digits[0], 16)), 4)
        elif following in ESCAPED and (following != "$" or self._quote):
            self._add(ESCAPED[following], 2)
        else:
            self._add(sign, 1)

    def _variable(self, _sign: str) -> None:
        match = VARIABLE.match(self.text, self._at)
        if match is None:
            raise LineError("After $, in double quotes, the name of a variable is missing.")
        braced, several, default, plain = match.groups()
        name = braced or plain
        value = self.environment.get(name, default)
        if value is None:
            raise LineError(f"The environment variable {name[:60]} is not known here.")
        self._at += len(match[0])
        parts = value.split() if several else [value]
        for part in parts[:-1]:
            self._add(part, 0)
            self._end()
        self._add(parts[-1] if parts else "", 0)

    def _end(self) -> None:
        if self._word is not None:
            self.words.append("".join(self._word))
        self._word = None


def split(text: str, environment: Mapping[str, str]) -> list[str]:
    """The words of a line, without its comment. Raises LineError."""
    return _Splitting(text, environment).run()
