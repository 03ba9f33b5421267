"""What strangers sent is shown as text that hides nothing."""

import unicodedata

import pytest

from guardpanel.events.texts import legible
from tests.corpus import CORPUS


@pytest.mark.parametrize("sent", ["GET /?id=1' OR '1'='1", "żółw ıı שלום 猫 😀 café e\u0301", "[masked]", "\\x1b", ""])
def test_what_can_be_seen_stays_as_it_is(sent: str) -> None:
    assert legible(sent) == sent


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ("\x1b[31m", r"\x1b[31m"),
        ("a\0b", r"a\x00b"),
        ("a\r\nb\tc", r"a\x0d\x0ab\x09c"),
        ("a\x7f\x85", r"a\x7f\x85"),
        ("a\u202eb\u2066c", r"a\u202eb\u2066c"),
        ("a\u2028b\u200bc\ufeff", r"a\u2028b\u200bc\ufeff"),
        ("a\xa0b\u3000c", r"a\xa0b\u3000c"),
        ("a\u3164b\u2800\ufe0f", r"a\u3164b\u2800\ufe0f"),
        ("a\U000e0041b\U000e0101", r"a\U000e0041b\U000e0101"),
        ("\udcff\udc80", r"\xff\x80"),
        ("\ud800\ue000\uffff", r"\ud800\ue000\uffff"),
        ("e\u0301\u0302\u0303\u0304", "e\u0301\u0302" + r"\u0303\u0304"),
    ],
)
def test_what_cannot_be_seen_is_an_escape(sent: str, words: str) -> None:
    assert legible(sent) == words


def test_a_body_keeps_its_lines() -> None:
    assert legible("a\r\n\tb\x0b", "\n\r\t") == "a\r\n\tb\\x0b"


def test_every_byte_that_is_no_text_can_be_shown() -> None:
    words = legible(bytes(range(256)).decode("utf-8", "surrogateescape"))

    assert all(f"\\x{number:02x}" in words for number in range(0x80, 0x100))


def test_no_text_whatever_leaves_something_that_cannot_be_seen() -> None:
    words = legible("".join(chr(number) for number in range(0x3100)) + "".join(CORPUS))

    assert all(character.isprintable() for character in words)
    assert not {unicodedata.category(character) for character in words} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    words.encode("utf-8")
