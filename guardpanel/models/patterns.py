"""Regular expressions as both Python and the engine (Go, RE2) read them: what one of them reads otherwise is refused."""

import re

from guardpanel.models.types import refuse

LONGEST = 300
MOST_REPEATS = 1_000
"Go's own limit (regexp/syntax)."

ESCAPED = re.compile(r"[dDwWsSbB]|x[0-9A-Fa-f]{2}|[!-/:-@\[-`{-~ ]")
NAMED_CLASS = re.compile(r"\[\^?\]?[^\]]*\[:")
"In a class of characters, another one by its name: `[_[:digit:]]`, to Python single characters."
NO_LEAST = re.compile(r"\{,\d*\}")
"To Python a repeat from 0 on, to Go text."
GROUP = re.compile(r"\((?!\?)|\(\?(?:i\)|:|i:)")


def pattern(text: str, longest: int = LONGEST) -> str:
    """The text if it is such an expression. It is meant to match the whole of a value."""
    if not text:
        raise refuse("Enter a pattern.")
    if len(text) > longest:
        raise refuse(f"At most {longest:,} characters; this has {len(text):,}.")
    _only_what_both_read(text)
    try:
        re.compile(text)
    except (re.error, OverflowError) as error:
        raise refuse(f"This is not a pattern: {error}.") from None
    if any(int(number) > MOST_REPEATS for number in re.findall(r"[{,](\d{1,9})(?=[,}])", text)):
        raise refuse(f"Repeat at most {MOST_REPEATS:,} times.")
    return text


def _only_what_both_read(text: str) -> None:
    if NAMED_CLASS.search(re.sub(r"\\.", "__", text)):
        raise refuse("[:…:] is read differently by different engines. Use \\d or \\w, or name the characters.")
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
