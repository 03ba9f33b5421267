"""XML."""

from random import Random
from xml.sax.saxutils import escape, quoteattr

from tests.parsers.bodies.values import value
from tests.parsers.body import Body

TYPES = (
    "text/xml", "application/xml", "application/soap+xml", "application/xml; charset=utf-8", "text/xml; charset=utf-16", "application/xml; charset=iso-8859-1", "text/xml;charset=utf-7",
    "image/svg+xml", "application/atom+xml", "Text/XML", "application/xhtml+xml", " text/xml", "text/xmlx", "application/xml, x", "application/vnd.a+xml; a=b", "application/xml-external-parsed-entity",
)  # fmt: skip
DECLARATIONS = (
    "", "", "", '<?xml version="1.0"?>', '<?xml version="1.0" encoding="UTF-8"?>', '<?xml version="1.0" encoding="utf-8" standalone="yes"?>', '<?xml version="1.1"?>',
    '<?xml version="1.0" encoding="{c}"?>', "<?xml version='1.0' encoding='{c}'?>", '<?xml version="1.0" encoding="{c}"?>', '<?xml  version = "1.0"  encoding = "{c}" ?>', "<?xml?>", "\n<?xml version=\"1.0\"?>",
    '<?xml version="2.0"?>', '<?xml encoding="{c}" version="1.0"?>',
)  # fmt: skip
CODINGS = (("utf-8", "utf-8"), ("UTF-16", "utf-16"), ("UTF-16LE", "utf-16-le"), ("utf-16be", "utf-16-be"), ("iso-8859-1", "latin-1"), ("US-ASCII", "ascii"), ("UTF-7", "utf-7"), ("IBM037", "cp037"), ("windows-1252", "cp1252"), ("UTF-32", "utf-32"), ("ebcdic-cp-us", "cp037"), ("hz-gb-2312", "hz"), ("ISO-2022-JP", "iso2022_jp"), ("shift_jis", "shift_jis"), ("utf-8", "utf-8-sig"), ("x", "utf-8"))  # fmt: skip
DOCTYPES = (
    "<!DOCTYPE r>", '<!DOCTYPE r [<!ENTITY e "{v}">]>', "<!DOCTYPE r [<!ENTITY e '{v}'><!ENTITY f \"&e;x\">]>", '<!DOCTYPE r [<!ATTLIST r d CDATA "{v}">]>', '<!DOCTYPE r SYSTEM "r.dtd">',
    '<!DOCTYPE r [<!ENTITY % p "<!ENTITY e \'{v}\'>">%p;]>', '<!DOCTYPE r PUBLIC "-//X//Y" "http://x.invalid/r.dtd">', '<!DOCTYPE r [<!ELEMENT r ANY><!-- {v} -->]>', '<!doctype r>', '<!DOCTYPE r [<!ENTITY e "&#60;{v}&#62;">]>',
)  # fmt: skip


MARKUP = 0.2
"""The share of texts and attributes that are written in a way that is no XML, or not everybody's."""


def made(chance: Random) -> Body:
    kind = chance.choice(TYPES) if chance.random() < 0.3 else chance.choice(TYPES[:2])
    declared, coding = chance.choice(CODINGS) if chance.random() < 0.25 else CODINGS[0]
    declaration = chance.choice(DECLARATIONS) if chance.random() < 0.5 else ""
    doctype, entity, notes = "", "", ["xml"]
    if chance.random() < 0.15:
        doctype, entity = chance.choice(DOCTYPES).replace("{v}", unquoted(value(chance))), chance.choice(("", "&e;"))
        notes.append("doctype")
    text = declaration.replace("{c}", declared) + doctype + root(chance, entity)
    if chance.random() < 0.07:
        text += chance.choice(AFTER).replace("{v}", escape(printable(value(chance))))
        notes.append("after")
    return Body(kind, text.encode(coding, "xmlcharrefreplace"), f"{' '.join(notes)} {coding}")


AFTER = ("<q>{v}</q>", "{v}", "<!-- {v} -->", "\x00", "</r>", "<?x {v}?>")


def root(chance: Random, entity: str) -> str:
    inside = "".join(content(chance, chance.choice((0, 1, 2, 3))) for _ in range(chance.choice((1, 2, 3))))
    return f'<r xmlns:n="urn:n">{entity}{inside}</r>'


def element(chance: Random, depth: int) -> str:
    tag = chance.choice(TAGS)
    attributes = "".join(
        f" {chance.choice(ATTRIBUTES)}{at}={attribute(chance)}" for at in range(chance.choice((0, 0, 1, 2)))
    )
    if chance.random() < 0.1:
        return f"<{tag}{attributes}/>"
    return f"<{tag}{attributes}>{''.join(content(chance, depth) for _ in range(chance.choice((1, 1, 2, 3))))}</{tag}>"


TAGS = ("a", "q", "n:b", "value", "param", "br", "link", "input", "script", "a.b", "é", "methodCall", "P")
ATTRIBUTES = ("a", "href", "n:x", "xml:lang", "A")


def attribute(chance: Random) -> str:
    raw = printable(value(chance))
    plain = unquoted(raw)
    ways = (quoteattr(raw), quoteattr(raw), f"'{plain}'", f'"{characters(raw)}"', f'"{plain}\n{plain}"')
    odd = (raw, '"&e;"', f'"{raw}"', f"'{raw}'", f'"{plain}<"', "")
    return chance.choice(odd if chance.random() < MARKUP else ways)


def content(chance: Random, depth: int) -> str:
    if depth and chance.random() < 0.5:
        return element(chance, depth - 1)
    raw = printable(value(chance))
    first, second = raw[: len(raw) // 2], raw[len(raw) // 2 :]
    text, begin, end = escape(raw), escape(first), escape(second)
    ways = (
        text, text, text, f"<![CDATA[{raw}]]>", f"{begin}<![CDATA[{second}]]>", f"{begin}<!-- c -->{end}", f"{begin}<?p i?>{end}",
        characters(raw), f"{begin}<b/>{end}", f"{begin}<b>{end}</b>x", f"<![CDATA[{first}]]><![CDATA[{second}]]>",
        f"{text}&lt;&quot;&apos;", f"&#x0{ord(raw[0]):x};{escape(raw[1:])}", f"\n  {text}\n", f"<!-- > -->{text}", f"<a b='>'>{text}</a>",
    )  # fmt: skip
    odd = (
        f"<!-- {raw} -->", f"<?php {raw}?>", f"{text}&nbsp;&copy;", f"&unknown;{text}", raw, f"{text}&#0;", f"{text}\x01", f"{text}]]>",
    )  # fmt: skip
    return chance.choice(odd if chance.random() < MARKUP else ways)


def characters(text: str) -> str:
    return "".join(f"&#{ord(letter)};" for letter in text)


def printable(text: str) -> str:
    return text.replace("\x00", "").replace("\r", "")


def unquoted(text: str) -> str:
    return escape(printable(text).replace('"', "").replace("'", "").replace("%", ""))
