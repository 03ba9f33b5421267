"""Why a text is not a hostname, by the error codes of the idna library (RFC 5891 to 5893, UTS 46)."""

import unicodedata

import idna

WORDS = {
    "empty_domain": "it is empty",
    "empty_label": "two dots follow each other, or it begins with a dot",
    "label_too_long": "a part between dots can have at most 63 characters",
    "input_too_long": "it is too long",
    "domain_too_long": "it can have at most 253 characters",
    "hyphen_start_end": "no part can begin or end with a hyphen",
    "hyphen_3_4": "no part can have hyphens as its third and fourth characters",
    "leading_combiner": "no part can begin with a combining mark",
    "invalid_alabel": "a part that begins with xn-- is not valid Punycode",
    "non_canonical_alabel": "a part that begins with xn-- is not valid Punycode",
}


def fault(error: UnicodeError) -> str:
    """The end of a sentence whose subject is the hostname."""
    if not isinstance(error, idna.IDNAError):
        return "it contains characters that are not allowed"
    if isinstance(error, idna.IDNABidiError):
        return "it mixes left-to-right and right-to-left scripts in a way that is not allowed"
    if error.code in WORDS or error.codepoint is None:
        return WORDS.get(error.code or "", "it is not a valid internationalized name")
    return f"{_named(chr(error.codepoint))} is not allowed"


def _named(character: str) -> str:
    if character.isspace():
        return "a space"
    category = unicodedata.category(character)
    name = unicodedata.name(character, "").lower()
    code = f"U+{ord(character):04X}" + (f" ({name})" if name else "")
    return code if category[0] in "CM" else character
