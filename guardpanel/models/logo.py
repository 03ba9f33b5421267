"""A logo: a small picture, kept as a data URI. Its first bytes say of which kind it is. Browsers take none of these kinds for a
document or a script, as they do with SVG."""

import base64
import re
from typing import Annotated, NamedTuple

from pydantic import AfterValidator

from guardpanel.field_codes import FieldCode
from guardpanel.models.refusing import refuse

LARGEST = 32 * 1024
"Bytes. With the rest of the page, its Base64 fits HAProxy's smallest buffer."

LARGEST_SIDE = 2_000
"Pixels: a few bytes can be a picture of gigabytes."

DATA_URI = re.compile(r"data:[a-z/+.-]*;base64,")


class Picture(NamedTuple):
    kind: str
    width: int
    height: int


def logo(text: str) -> str:
    """From a data URI or Base64."""
    typed = "".join(text.split())
    if not typed:
        return ""
    try:
        content = base64.b64decode(DATA_URI.sub("", typed, count=1), validate=True)
    except ValueError:
        raise refuse("This is neither a picture nor its Base64.") from None
    if len(content) > LARGEST:
        raise refuse(f"The picture can have at most {LARGEST // 1024} KiB.", FieldCode.TOO_LONG)
    picture = picture_of(content)
    if picture is None:
        raise refuse("Choose a PNG, JPEG or WebP picture. SVG can contain scripts.")
    if not (0 < picture.width <= LARGEST_SIDE and 0 < picture.height <= LARGEST_SIDE):
        raise refuse(f"The picture can have at most {LARGEST_SIDE:,} pixels in each direction.")
    return f"data:image/{picture.kind};base64,{base64.b64encode(content).decode()}"


def picture_of(content: bytes) -> Picture | None:
    """None if it is none of these."""
    if content.startswith(b"\x89PNG\r\n\x1a\n") and content[12:16] == b"IHDR":
        return Picture("png", _big(content[16:20]), _big(content[20:24]))
    if content.startswith(b"\xff\xd8\xff"):
        return _jpeg(content)
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return _webp(content)
    return None


def _jpeg(content: bytes) -> Picture | None:
    """By its first frame (ITU-T T.81 §B.2.2): markers SOF0 to SOF15, without those that are no frame."""
    at = 2
    while at + 9 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            return Picture("jpeg", _big(content[at + 7 : at + 9]), _big(content[at + 5 : at + 7]))
        at += 2 + _big(content[at + 2 : at + 4])
    return None


def _webp(content: bytes) -> Picture | None:
    """By its first chunk (RFC 9649 §2)."""
    match content[12:16]:
        case b"VP8 " if content[23:26] == b"\x9d\x01\x2a":
            return Picture("webp", _little(content[26:28]) & 0x3FFF, _little(content[28:30]) & 0x3FFF)
        case b"VP8L" if content[20:21] == b"\x2f":
            sides = _little(content[21:25])
            return Picture("webp", (sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1)
        case b"VP8X" if len(content) >= 30:
            return Picture("webp", _little(content[24:27]) + 1, _little(content[27:30]) + 1)
    return None


def _big(content: bytes) -> int:
    return int.from_bytes(content, "big")


def _little(content: bytes) -> int:
    return int.from_bytes(content, "little")


Logo = Annotated[str, AfterValidator(logo)]
