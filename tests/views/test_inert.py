"""What strangers sent is drawn in pieces: masks told apart, what a rule found marked."""

import pytest

from guardpanel.views import inert
from guardpanel.views.inert import Piece, pieces


@pytest.mark.parametrize(
    ("text", "hits", "expected"),
    [
        ("", [], []),
        ("a=1", [], [("", "a=1")]),
        ("p=[masked]&b", [], [("", "p="), ("masked", "masked"), ("", "&b")]),
        ("[masked][masked]", [], [("masked", "masked"), ("masked", "masked")]),
        ("x' or 1 y' or 1", ["' or 1"], [("", "x"), ("hit", "' or 1"), ("", " y"), ("hit", "' or 1")]),
        ("abcdef", ["abc", "bcde"], [("hit", "abcde"), ("", "f")]),
        ("a.c abc", ["a.c"], [("hit", "a.c"), ("", " abc")]),
        ("ab ab", ["ab", ""], [("", "ab ab")]),
        ("[masked] abc", ["[masked]", "abc"], [("masked", "masked"), ("", " "), ("hit", "abc")]),
    ],
)
def test_a_text_is_whole_in_its_pieces(text: str, hits: list[str], expected: list[tuple[str, str]]) -> None:
    assert pieces(text, hits) == tuple(Piece(*part) for part in expected)


def test_a_body_is_broken_where_its_sender_broke_it() -> None:
    assert inert.lines("a\r\nb\nc\rd\n") == ["a", "b", "c", "d", ""]
