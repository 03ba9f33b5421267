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


def made(chance: Random) -> Body:
    kind = chance.choice(TYPES) if chance.random() < 0.4 else chance.choice(TYPES[:2])
    declared, coding = chance.choice(CODINGS) if chance.random() < 0.25 else CODINGS[0]
    doctype, notes = "", ["xml"]
    if chance.random() < 0.15:
        doctype = chance.choice(DOCTYPES).replace(
            "{v}", escape(value(chance).replace('"', "").replace("'", "").replace("%", ""))
        )
        notes.append("doctype")
    text = (
        chance.choice(DECLARATIONS).replace("{c}", declared)
        + doctype
        + element(chance, "r", chance.choice((0, 1, 2, 3)), "&e;" if doctype and chance.random() < 0.7 else "")
    )
    if chance.random() < 0.1:
        text += chance.choice(("<q>{v}</q>", "{v}", "<!-- {v} -->", "\x00", "</r>", "<?x {v}?>")).replace(
            "{v}", escape(value(chance))
        )
        notes.append("after")
    return Body(kind, text.encode(coding, "xmlcharrefreplace"), f"{' '.join(notes)} {coding}")


def element(chance: Random, tag: str, depth: int, entity: str = "") -> str:
    attributes = "".join(
        f" {chance.choice(ATTRIBUTES)}{at}={attribute(chance)}" for at in range(chance.choice((0, 0, 1, 2)))
    )
    if chance.random() < 0.1:
        return f"<{tag}{attributes}/>"
    inside = entity + "".join(content(chance, depth) for _ in range(chance.choice((1, 1, 2, 3))))
    return f"<{tag}{attributes}>{inside}</{tag}>"


TAGS = ("a", "q", "n:b", "value", "param", "br", "link", "input", "script", "a.b", "é", "methodCall", "P")
ATTRIBUTES = ("a", "href", "xmlns:n", "n:x", "xml:lang", "A")


def attribute(chance: Random) -> str:
    raw = printable(value(chance))
    return chance.choice(
        (
            quoteattr(raw),
            quoteattr(raw),
            f"'{escape(raw)}'".replace("''", "'"),
            f'"{characters(raw)}"',
            f'"{escape(raw, {chr(34): ""})}\n{escape(raw, {chr(34): ""})}"',
            f"{raw.split()[0]}",
            '"&e;"',
        )
    )


def content(chance: Random, depth: int) -> str:
    raw = printable(value(chance))
    half = len(raw) // 2
    ways = (
        escape(raw), escape(raw), escape(raw), f"<![CDATA[{raw}]]>", f"{escape(raw[:half])}<![CDATA[{raw[half:]}]]>", f"{escape(raw[:half])}<!-- c -->{escape(raw[half:])}", f"{escape(raw[:half])}<?p i?>{escape(raw[half:])}",
        characters(raw), f"<!-- {raw.replace('--', '')} -->", f"<?php {raw}?>", f"{escape(raw[:half])}<b/>{escape(raw[half:])}", f"<![CDATA[{raw[:half]}]]><![CDATA[{raw[half:]}]]>", f"{escape(raw)}&lt;&quot;&apos;",
        f"{escape(raw)}&nbsp;&copy;", f"&#x0{ord(raw[0]):x};{escape(raw[1:])}", f"&unknown;{escape(raw)}", f"\n  {escape(raw)}\n", raw, f"<!-- > -->{escape(raw)}", f"<a b='>'>{escape(raw)}</a>", f"{escape(raw)}&#0;", f"{escape(raw)}\x01",
    )  # fmt: skip
    if depth and chance.random() < 0.6:
        return element(chance, chance.choice(TAGS), depth - 1)
    return chance.choice(ways)


def characters(text: str) -> str:
    return "".join(f"&#{ord(letter)};" for letter in text)


def printable(text: str) -> str:
    return text.replace("\x00", "").replace("\r", "")
