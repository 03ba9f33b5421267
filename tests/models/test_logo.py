"""Which pictures are taken as a logo."""

import base64
import struct

import pytest
from pydantic_core import PydanticCustomError

from guardpanel.models.logo import LARGEST, logo
from tests.factories import A_LOGO

PNG = base64.b64decode(A_LOGO)


def png(width: int, height: int, size: int = 0) -> bytes:
    made = PNG[:16] + struct.pack(">II", width, height) + PNG[24:]
    return made.ljust(size, b"\0")


def jpeg(width: int, height: int) -> bytes:
    comment = b"\xff\xfe\x00\x06abcd"
    return (
        b"\xff\xd8" + comment + b"\xff\xc2\x00\x11\x08" + struct.pack(">HH", height, width) + b"\x03" * 10 + b"\xff\xd9"
    )


def webp(kind: bytes, frame: bytes) -> bytes:
    return b"RIFF\0\0\0\0WEBP" + kind + b"\0\0\0\0" + frame


LOSSY = b"\0\0\0\x9d\x01\x2a"

TAKEN = [
    ("png", png(2000, 1)),
    ("png", png(1, 1, LARGEST)),
    ("jpeg", jpeg(640, 480)),
    ("webp", webp(b"VP8 ", LOSSY + struct.pack("<HH", 640, 480))),
    ("webp", webp(b"VP8L", b"\x2f" + struct.pack("<I", 639 | 479 << 14))),
    ("webp", webp(b"VP8X", b"\0\0\0\0" + (639).to_bytes(3, "little") + (479).to_bytes(3, "little"))),
]


@pytest.mark.parametrize(("kind", "content"), TAKEN)
def test_a_picture_becomes_a_data_uri_of_its_own_kind(kind: str, content: bytes) -> None:
    encoded = base64.b64encode(content).decode()
    expected = f"data:image/{kind};base64,{encoded}"

    assert logo(encoded) == expected
    assert logo(f"data:text/html;base64,{encoded}") == expected
    assert logo(f" {expected[:40]}\n{expected[40:]} ") == logo(expected) == expected


LARGE, KIND, SIDES = "at most 32 KiB", "Choose a PNG, JPEG or WebP picture", "at most 2,000 pixels"

REFUSED = [
    (png(1, 1, LARGEST + 1), LARGE),
    (png(2001, 1), SIDES),
    (png(1, 4_000_000_000), SIDES),
    (png(0, 1), SIDES),
    (jpeg(1, 65_535), SIDES),
    (webp(b"VP8L", b"\x2f" + struct.pack("<I", 16_383)), SIDES),
    (PNG[:12], KIND),
    (jpeg(1, 1)[:12], KIND),
    (b"\xff\xd8\xff" + b"\xff" * 100, KIND),
    (webp(b"VP8 ", b"\0" * 20), KIND),
    (webp(b"VP8X", b""), KIND),
    (b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", KIND),
    (b"GIF89a" + b"\0" * 50, KIND),
    (b"<script>alert(1)</script>", KIND),
]


@pytest.mark.parametrize(("content", "words"), REFUSED)
def test_anything_else_is_refused_in_words(content: bytes, words: str) -> None:
    with pytest.raises(PydanticCustomError, match=words):
        logo(base64.b64encode(content).decode())


@pytest.mark.parametrize("text", ["-", "https://shop.example/logo.png", "é", "data:image/png;base64,!", "AAA"])
def test_what_is_no_base64_is_refused_in_words(text: str) -> None:
    with pytest.raises(PydanticCustomError, match="neither a picture nor its Base64"):
        logo(text)
