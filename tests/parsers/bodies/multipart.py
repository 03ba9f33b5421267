"""Forms in parts: each an ordinary one, with a few of the oddities that parsers read in several ways."""

import base64
import quopri
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from tests.parsers.bodies.headers import BOUNDARIES, DISPOSITIONS, OTHER_HEADERS, TYPES
from tests.parsers.bodies.values import name, value
from tests.parsers.body import Body


@dataclass
class Part:
    disposition: str
    value: str
    headers: list[str] = field(default_factory=list)
    first: bool = True
    "Does the disposition come before the other headers?"
    header: str = "Content-Disposition: "
    encoding: Callable[[bytes], bytes] = bytes
    break_: str = "\r\n"
    blank: str = "\r\n"

    def __bytes__(self) -> bytes:
        lines = [self.header + self.disposition, *self.headers]
        if not self.first:
            lines.reverse()
        head = "".join(line + self.break_ for line in lines) + self.blank
        return head.encode("utf-8") + self.encoding(self.value.encode("utf-8"))


@dataclass
class Form:
    boundary: str
    type: str
    parts: list[Part]
    before: str = ""
    after: str = ""
    opening: str = "--{b}\r\n"
    between: str = "\r\n--{b}\r\n"
    closing: str = "\r\n--{b}--\r\n"
    notes: list[str] = field(default_factory=list)

    def __bytes__(self) -> bytes:
        pieces = [self.before.encode("utf-8"), self.written(self.opening)]
        for at, part in enumerate(self.parts):
            pieces += [self.written(self.between)] if at else []
            pieces.append(bytes(part))
        return b"".join([*pieces, self.written(self.closing), self.after.encode("utf-8")])

    def written(self, line: str) -> bytes:
        return line.replace("{b}", self.boundary).encode("utf-8")


def made(chance: Random) -> Body:
    boundary = chance.choice(BOUNDARIES) if chance.random() < 0.3 else BOUNDARIES[0]
    form = Form(boundary, TYPES[0], [part(chance) for _ in range(chance.choice((1, 1, 2, 2, 3)))])
    for _ in range(chance.choice((0, 0, 1, 1, 1, 1, 2, 2))):
        oddity = chance.choice(ODDITIES)
        form.notes.append(oddity.__name__)
        oddity(chance, form)
    return Body(form.type.replace("{b}", boundary), bytes(form), f"multipart: {' '.join(form.notes)}")


def part(chance: Random) -> Part:
    return Part(disposition(chance, chance.choice(DISPOSITIONS[:2])), value(chance))


def disposition(chance: Random, form: str) -> str:
    raw = name(chance)
    return (
        form.replace("{n}", f'"{raw}"')
        .replace("{r}", raw)
        .replace("{v}", "z" + "".join(chance.choices("bcdfghjk", k=6)))
    )


# Oddities


def of_type(chance: Random, form: Form) -> None:
    form.type = chance.choice(TYPES)


def of_disposition(chance: Random, form: Form) -> None:
    chance.choice(form.parts).disposition = disposition(chance, chance.choice(DISPOSITIONS))


def another_header(chance: Random, form: Form) -> None:
    part = chance.choice(form.parts)
    part.headers.append(chance.choice(OTHER_HEADERS))
    part.first = chance.random() < 0.6


def encoded(chance: Random, form: Form) -> None:
    part = chance.choice(form.parts)
    name, encoding = chance.choice(
        (("base64", base64.b64encode), ("quoted-printable", quopri.encodestring), ("BASE64", base64.b64encode))
    )
    part.headers.append(f"Content-Transfer-Encoding: {name}")
    part.encoding = encoding


def before(chance: Random, form: Form) -> None:
    odd = Form(form.boundary, "", [part(chance)])
    form.before = chance.choice(
        ("\r\n", "\n", "preamble\r\n", "--{b}--\r\n", "--{b}--", bytes(odd).decode("utf-8"), "--{b} \r\n", " ")
    ).replace("{b}", form.boundary)


def after(chance: Random, form: Form) -> None:
    odd = Form(form.boundary, "", [part(chance)])
    form.after = chance.choice(
        ("epilogue", bytes(odd).decode("utf-8"), "\r\n" + bytes(odd).decode("utf-8"), "--", "a=" + value(chance))
    )


def of_lines(chance: Random, form: Form) -> None:
    odd = chance.choice(("\n", "\n", "\r", "\r\r\n", "\n\r", "\r\n\n"))
    which = chance.choice(("opening", "between", "closing", "headers", "blank", "all"))
    if which in {"headers", "all"}:
        for part in form.parts:
            part.break_ = odd
    if which in {"blank", "all"}:
        for part in form.parts:
            part.blank = odd
    for line in ("opening", "between", "closing"):
        if which in {line, "all"}:
            setattr(form, line, getattr(form, line).replace("\r\n", odd))


def of_boundary_line(chance: Random, form: Form) -> None:
    which = chance.choice(("opening", "between", "closing"))
    usual = getattr(form, which)
    odd = chance.choice((
        usual.replace("{b}", "{b} "), usual.replace("{b}", "{b}\t"), usual.replace("{b}", "{b}x"), usual.replace("{b}", "{b}-"), usual.replace("{b}", "{b};"),
        usual.replace("--{b}", "-{b}"), usual.replace("--{b}", "---{b}"), usual.replace("{b}", "{b}\x00"), usual.replace("--{b}", " --{b}"), usual.replace("\r\n--", "--"),
        usual.replace("{b}--", "{b}"), usual.replace("{b}--", "{b}-- x"), usual.replace("{b}--", "{b}--\x00"), usual.replace("{b}", "{b}--\r\n--{b}"), usual.replace("{b}\r\n", "{b}--\r\n"), "",
    ))  # fmt: skip
    setattr(form, which, odd)


def glued_boundary(chance: Random, form: Form) -> None:
    part = chance.choice(form.parts)
    part.value = f'--{form.boundary}\r\nContent-Disposition: form-data; name="{name(chance)}"\r\n\r\n{value(chance)}'
    part.blank = chance.choice(("", "\r\n"))


def boundary_inside(chance: Random, form: Form) -> None:
    part = chance.choice(form.parts)
    mark = chance.choice(
        ("\r\n--{b}", "\n--{b}", "--{b}", "\r\n--{b}x", "\r\n--{b} x", "\r--{b}\r\n", "\n--{b}\n", "\r\n-{b}\r\n")
    ).replace("{b}", form.boundary)
    part.value += mark + chance.choice(("", "\r\n", "\r\n\r\n")) + value(chance)


def nested(chance: Random, form: Form) -> None:
    chosen = chance.choice(form.parts)
    chosen.headers.append("Content-Type: multipart/mixed; boundary=inner")
    chosen.value = bytes(Form("inner", "", [part(chance), part(chance)])).decode("utf-8")


def no_blank_line(chance: Random, form: Form) -> None:
    chance.choice(form.parts).blank = ""


def of_header(chance: Random, form: Form) -> None:
    chance.choice(form.parts).header = chance.choice((
        "content-disposition:", "CONTENT-DISPOSITION: ", "Content-Disposition:\t", "Content-Disposition : ", "Content-Disposition:\r\n ", "Content-Disposition", "Content_Disposition: ",
        " Content-Disposition: ", "\tContent-Disposition: ", "X-Content-Disposition: ", "Content-Disposition:: ", "Content-Disposition: \x00", "Content-Disposition=", "\r\nContent-Disposition: ",
        "Content-Disposition\r\n : ", "Content-Type: text/plain\r\n\r\nContent-Disposition: ", "Content-Disposition:\x0b", "Content-Disposition:\xa0",
    ))  # fmt: skip


def truncated(chance: Random, form: Form) -> None:
    form.closing = chance.choice(("", "\r\n", "\r\n--", "\r\n--{b}", "\r\n--{b}-", "\r\n--{b}--", "\r"))


def same_name(chance: Random, form: Form) -> None:
    form.parts.append(
        Part(
            form.parts[0].disposition.swapcase() if chance.random() < 0.3 else form.parts[0].disposition, value(chance)
        )
    )


def charset_field(chance: Random, form: Form) -> None:
    form.parts.insert(
        0, Part('form-data; name="_charset_"', chance.choice(("utf-7", "utf-16", "ibm037", "iso-8859-1", "utf-8")))
    )


def json_part(chance: Random, form: Form) -> None:
    form.parts.append(Part('form-data; name="j"; filename="blob"', f'{{"q": "{value(chance)}"}}'.replace("\\", "")))
    form.parts[-1].headers.append("Content-Type: application/json")


ODDITIES = (
    of_type, of_type, of_disposition, of_disposition, of_disposition, another_header, another_header, encoded, before, after, of_lines,
    of_boundary_line, glued_boundary, boundary_inside, nested, no_blank_line, of_header, truncated, same_name, charset_field, json_part,
)  # fmt: skip
