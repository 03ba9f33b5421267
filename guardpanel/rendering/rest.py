"""What follows a bound path in a request: what redirects keep, and what servers get behind another path."""

from typing import NamedTuple

from guardpanel.rendering.tokens import Token

PLAIN_SIGN = r"[^/;\\%]|%([013-46-9a-f][0-9a-f]|2[0-46-9a-e]|5[0-9abd-f])"
PLAIN_PART = rf"([^/;\\%. ]|%([013-46-9a-f][0-9a-f]|2[1-46-9a-d]|5[0-9abd-f]))({PLAIN_SIGN})*"
"A part of a path that every server reads as one: without encoded slashes, `;`, and dots or blanks at its beginning."


class Rest(NamedTuple):
    """Behind so many parts."""

    parts: int

    @property
    def before(self) -> Token:
        """What is left out, of a path that was read."""
        return Token(f"(/+[^/]*){{{self.parts}}}")

    @property
    def plain(self) -> Token:
        """What is written so that all servers read it as so many parts."""
        return Token(f"^(/{PLAIN_PART}){{{self.parts}}}(/|$)")
