"""Regular expressions that Python and the engine (Go, RE2) read alike. Others are rejected."""

import re

from guardpanel.field_codes import FieldCode
from guardpanel.models.refusing import refuse

LONGEST = 300
MOST_REPEATS = 1_000
"Go's own limit (regexp/syntax)."

ESCAPED = re.compile(r"[dDwWsSbB]|x[0-9A-Fa-f]{2}|[!-/:-@\[-`{-~ ]")
NAMED_CLASS = re.compile(r"\[\^?\]?[^\]]*\[:")
"A named class within a class, `[_[:digit:]]`: Python reads single characters."
NO_LEAST = re.compile(r"\{,\d*\}")
"To Python a repeat from 0 on, to Go text."
TOKEN = re.compile(r"(?s)\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{(?P<least>\d{1,9})(?:,(?P<most>\d{0,9}))?\}|.")
BACKSPACE = re.compile(r"\[\^?\]?(?:\\[^b]|[^\]\\])*\\b")
"In a class of characters, \\b is a backspace to Python, and nothing to Go."
GROUP = re.compile(r"\((?!\?)|\(\?(?:i\)|:|i:)")


def pattern(text: str, longest: int = LONGEST) -> str:
    """The text if it is such an expression. It is meant to match the whole of a value."""
    if not text:
        raise refuse("Enter a pattern.")
    if len(text) > longest:
        raise refuse(f"At most {longest:,} characters; this has {len(text):,}.", FieldCode.TOO_LONG)
    _only_what_both_read(text)
    try:
        re.compile(text)
    except (re.error, OverflowError) as error:
        raise refuse(f"This is not a pattern: {error}.") from None
    if _most_repeats(text) > MOST_REPEATS:
        raise refuse(f"Repeat at most {MOST_REPEATS:,} times, within one another, too.")
    return text


def _most_repeats(text: str) -> int:
    """How often something is repeated at most by numbers in braces, within one another: Go bounds the product."""
    groups, last = [1], 1
    for token in TOKEN.finditer(text):
        if token[0] == "(":
            groups.append(1)
            continue
        if token[0] == ")":
            last = groups.pop() if len(groups) > 1 else 1
        else:
            last = last * max(int(token["least"]), int(token["most"] or 0), 1) if token["least"] else 1
        groups[-1] = max(groups[-1], last)
    return max(groups)


def _only_what_both_read(text: str) -> None:
    if NAMED_CLASS.search(re.sub(r"\\.", "__", text)):
        raise refuse("[:…:] is read differently by different engines. Use \\d or \\w, or name the characters.")
    if any(BACKSPACE.match(token[0]) for token in TOKEN.finditer(text)):
        raise refuse(r"\b means nothing between [ and ].")
    at = 0
    while at < len(text):
        if text[at] == "\\":
            escaped = ESCAPED.match(text, at + 1)
            if not escaped:
                raise refuse(
                    f"\\{text[at + 1 : at + 2]} means nothing here. Use \\d, \\w, \\s, \\b, or \\ before a sign."
                )
            at = escaped.end()
            continue
        if text.startswith("(?", at) and not GROUP.match(text, at):
            raise refuse("Use (…) and (?:…) only: the engine can’t look ahead or behind.")
        if NO_LEAST.match(text, at):
            raise refuse("Begin a repeat with its least number: {0,3}.")
        if text.startswith("[[", at) or text.startswith(("*+", "++", "?+", "}+"), at):
            raise refuse(f"{text[at : at + 2]} is read differently by different engines. Write it another way.")
        at += 1
