"""Forms as one line."""

from random import Random
from urllib.parse import quote, quote_plus

from tests.parsers.bodies.values import name, value
from tests.parsers.body import Body

TYPES = (
    "application/x-www-form-urlencoded", "application/x-www-form-urlencoded", "application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=utf-8",
    "application/x-www-form-urlencoded;charset=iso-8859-1", "application/x-www-form-urlencoded; charset=utf-16", "application/x-www-form-urlencoded; charset=utf-7",
    "application/x-www-form-urlencoded; charset=ibm037", "Application/X-WWW-Form-Urlencoded", "application/x-www-form-urlencoded,x", "application/x-www-form-urlencoded x",
    "application/x-www-form-urlencoded; a=b", "application/x-www-form-urlencoded;", "application/x-www-form-urlencodedx", "application/x-www-form-urlencoded; charset=\"utf-7\"",
    " application/x-www-form-urlencoded", "application/x-www-form-urlencoded\xa0", "application/x-www-form-urlencoded; charset=utf-8; charset=utf-7", "application/x-www-form-urlencoded; charset=cp1252",
)  # fmt: skip

SEPARATORS = ("&", "&", "&", "&", "&&", ";", "&;", ",", "\n", "&amp;", "%26", "\x00&", "& ")
EQUALS = ("=", "=", "=", "=", "==", "%3D", " = ", "[=", "]=", "[]=", "\x00=", "%00=", "")


def made(chance: Random) -> Body:
    odd = chance.random() < 0.6
    text = ""
    for at in range(chance.randint(1, 5)):
        text += chance.choice(SEPARATORS if odd else SEPARATORS[:1]) if at else ""
        text += (
            encoded(chance, name(chance))
            + chance.choice(EQUALS if odd else EQUALS[:1])
            + encoded(chance, value(chance))
        )
    if odd:
        text = (
            chance.choice(("", "", "", "&", "?", "=", " ", "\ufeff", "_charset_=utf-7&", "utf8=%E2%9C%93&", "[", "\n"))
            + text
        )
    return Body(chance.choice(TYPES if odd else TYPES[:1]), text.encode("utf-8", "surrogatepass"), "urlencoded")


def encoded(chance: Random, text: str) -> str:
    return chance.choice(ENCODINGS)(text) if chance.random() < 0.4 else quote_plus(text)


def every_byte(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def unicode_escapes(text: str) -> str:
    return "".join(letter if letter.isalnum() else f"%u{ord(letter):04x}" for letter in text)


def overlong(text: str) -> str:
    return "".join(letter if letter.isalnum() else f"%C0%{0x80 | ord(letter) & 0x3F:02X}" for letter in text)


def half(text: str) -> str:
    return quote(text) + "%2"


def utf_7(text: str) -> str:
    return quote_plus(text.encode("utf-7"))


def utf_16(text: str) -> str:
    return quote_plus(text.encode("utf-16"))


def ibm037(text: str) -> str:
    return quote_plus(text.encode("cp037", "replace"))


def twice(text: str) -> str:
    return quote(quote(text))


def as_is(text: str) -> str:
    return text.replace("&", "")


ENCODINGS = (every_byte, unicode_escapes, overlong, half, utf_7, utf_16, ibm037, twice, as_is)
