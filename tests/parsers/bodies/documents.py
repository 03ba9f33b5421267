"""JSON."""

import json
from random import Random
from typing import Any

from tests.parsers.bodies.values import name, value
from tests.parsers.body import Body

TYPES = (
    "application/json", "application/json", "application/json", "application/json; charset=utf-8", "application/json;charset=utf-16", "application/json; charset=utf-32",
    "application/json; charset=utf-7", "application/json; charset=iso-8859-1", "Application/JSON", "application/vnd.api+json", "application/problem+json; a=b", "application/json, x", "text/json",
    "application/json5", "application/x-json", " application/json", "application/ld+json", "application/json x", "application/json\xa0", "application/csp-report+json", "application/jsonx", "text/plain; x=json",
)  # fmt: skip
CODINGS = ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-7", "cp037", "latin-1")
KEYS = (
    "",
    "a.b",
    "__proto__",
    "constructor",
    "json",
    "0",
    "10",
    "q\x00",
    "Q",
    "q ",
    "a[b]",
    "\ud83d\ude00",
    "é",
    "$ref",
)


def made(chance: Random) -> Body:
    text, notes = written(chance, document(chance, chance.choice((0, 1, 2, 2, 3, 4)))), ["json"]
    kind = chance.choice(TYPES) if chance.random() < 0.4 else TYPES[0]
    if chance.random() < 0.4:
        oddity = chance.choice(ODDITIES)
        notes.append(oddity.__name__)
        text = oddity(chance, text)
    coding = chance.choice(CODINGS) if chance.random() < 0.15 else "utf-8"
    return Body(kind, text.encode(coding, "replace"), f"{' '.join(notes)} {coding}")


def document(chance: Random, depth: int) -> Any:
    if depth == 0:
        return chance.choice((None, True, 3.5, 10**30)) if chance.random() < 0.2 else value(chance)
    if chance.random() < 0.3:
        return [document(chance, depth - 1) for _ in range(chance.randint(1, 3))]
    keys = [chance.choice(KEYS) if chance.random() < 0.15 else name(chance) for _ in range(chance.randint(1, 4))]
    return {key: document(chance, chance.randint(0, depth - 1)) for key in keys}


def written(chance: Random, document: Any) -> str:
    plain = json.dumps(document, ensure_ascii=chance.random() < 0.5, indent=chance.choice((None, None, 1)))
    if chance.random() < 0.2:
        plain = "".join(
            f"\\u{ord(letter):04x}" if letter.isalpha() and chance.random() < 0.3 and inside(plain, at) else letter
            for at, letter in enumerate(plain)
        )
    return plain


def inside(text: str, at: int) -> bool:
    """Between quotes, and no part of an escape."""
    before = text[max(0, at - 6) : at]
    return "\\" not in before and text[:at].replace('\\"', "").count('"') % 2 == 1


def same_key(chance: Random, text: str) -> str:
    key = json.dumps(name(chance))
    return f'{{{key}: {json.dumps(value(chance))}, {key}: {json.dumps(value(chance))}, "x": {text}}}'


def after(chance: Random, text: str) -> str:
    return text + chance.choice(
        ("x", "\n" + text, "\x00", "}", "]", ",", ' {"q": "' + "zafter" + '"}', "\ufeff", "//", "\x1a")
    )


def before(chance: Random, text: str) -> str:
    return (
        chance.choice(
            (
                "\ufeff",
                " ",
                "\n",
                ")]}',\n",
                "\x00",
                "while(1);",
                "/**/",
                "//\n",
                "\xa0",
                "\x0c",
                "\u2028",
                "[]",
                "json=",
                "{}",
                "\x1e",
                "data: ",
            )
        )
        + text
    )


def trailing_comma(chance: Random, text: str) -> str:
    return text.replace('"}', '",}', 1).replace('"]', '",]', 1)


def comment(chance: Random, text: str) -> str:
    return text.replace(":", ":/*x*/", 1) if chance.random() < 0.5 else text.replace("{", "{//x\n", 1)


def single_quotes(chance: Random, text: str) -> str:
    return text.replace('"', "'")


def bare_control(chance: Random, text: str) -> str:
    return text.replace("z", "z" + chance.choice("\x00\x01\n\t\r\x1f\x7f"), 1)


def bad_escape(chance: Random, text: str) -> str:
    return text.replace(
        "z",
        "z" + chance.choice(("\\x41", "\\a", "\\'", "\\u12", "\\ud800", "\\udc00\\ud800", "\\u0000", "\\/", "\\\n")),
        1,
    )


def deep(chance: Random, text: str) -> str:
    depth = chance.choice((20, 130, 520, 1200))
    return '{"a":' * depth + text + "}" * depth if chance.random() < 0.5 else "[" * depth + text + "]" * depth


def number(chance: Random, text: str) -> str:
    odd = chance.choice(("NaN", "-Infinity", "01", "+1", ".5", "1e999", "0x1F", "-0", "1.", "1E5"))
    return f'{{"n": {odd}, "q": {json.dumps(value(chance))}, "x": {text}}}'


def unquoted_key(chance: Random, text: str) -> str:
    return f"{{q: {json.dumps(value(chance))}, x: {text}}}"


def missing_comma(chance: Random, text: str) -> str:
    return f'{{"a": {json.dumps(value(chance))} "q": {json.dumps(value(chance))}}}'


def case_alone(chance: Random, text: str) -> str:
    return f'{{"role": {json.dumps(value(chance))}, "Role": {json.dumps(value(chance))}}}'


ODDITIES = (
    same_key, same_key, after, before, trailing_comma, comment, single_quotes, bare_control, bad_escape, bad_escape, deep, number, unquoted_key, missing_comma, case_alone,
)  # fmt: skip
