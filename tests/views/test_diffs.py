"""Lines of files as a reader sees them: nothing that cannot be seen stays unseen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardpanel.services.history.text_differences import Line, between
from guardpanel.views.diffs import LONGEST, Piece, one_column, pieces, plain, side_by_side

words = st.text(alphabet=" \tab'\"#1.\\é\u202e\u2028\r\x00{}<&", max_size=40)


def text_of(side: tuple[Piece, ...]) -> str:
    return "".join(piece.text for piece in side if piece.cls != "hidden")


@given(words, words | st.none())
def test_every_character_is_there_in_its_place_and_those_without_a_shape_by_number(
    text: str, other: str | None
) -> None:
    sides = pieces(text, other)

    hidden = [character for character in text if character in "\u202e\u2028\r\x00"]
    assert text_of(sides) == "".join(character for character in text if character not in hidden)
    assert "".join(piece.text for piece in sides if piece.cls == "hidden") == "".join(
        f"U+{ord(character):04X}" for character in hidden
    )


@pytest.mark.parametrize(
    ("line", "cls", "text"),
    [("  bind :80 # here", "comment", "# here"), ("a 'x y'", "string", "'x y'"), ("a  ", "trailing", "  "), ("a \t ", "trailing", " \t "),
     ("\ta", "tab", "\t"), ("  bind :80", "number", "80"), ("  bind :80", "key", "bind"), ("a\u2028b", "hidden", "U+2028")],
)  # fmt: skip
def test_words_have_their_colour(line: str, cls: str, text: str) -> None:
    assert Piece(cls, text) in pieces(line)


def test_only_the_words_that_changed_are_marked() -> None:
    assert [
        piece.text
        for piece in pieces("  server s1 10.0.0.1:80 weight 5", "  server s1 10.0.0.1:80 weight 7")
        if piece.changed
    ] == ["5"]
    assert not [piece for piece in pieces("one thing", "quite another line") if piece.changed]
    assert [piece.text for piece in pieces("a ", "a") if piece.changed] == [" "]


def test_a_long_line_is_cut_and_said_so() -> None:
    sides = pieces("x" * (LONGEST + 5), "y" * (LONGEST + 5))

    assert text_of(sides) == "x" * LONGEST + " … 5 more characters"


def test_one_column_has_removed_lines_before_added_ones() -> None:
    hunk = between({"f": b"a\nb\nc\n"}, {"f": b"a\nx\ny\nz\nc\n"}, ["f"]).files[0].hunks[0]

    assert [(row.sign, row.before, row.after, text_of(row.pieces)) for row in one_column(hunk)] == [
        ("", 1, 1, "a"), ("-", 2, None, "b"), ("+", None, 2, "x"), ("+", None, 3, "y"), ("+", None, 4, "z"), ("", 3, 5, "c"),
    ]  # fmt: skip


def test_side_by_side_a_side_without_the_line_is_empty() -> None:
    left, right = next(side_by_side([Line("added", None, "", 4, "new")]))

    assert (left.kind, left.number, left.pieces, left.sign) == ("none", None, (), "")
    assert (right.kind, right.number, text_of(right.pieces), right.sign) == ("added", 4, "new", "+")


def test_a_line_of_a_value_has_no_colours() -> None:
    assert plain("GET 'a' # 1 ") == (Piece("", "GET 'a' # 1"), Piece("trailing", " "))


def test_a_word_that_changed_in_a_long_string_is_marked_alone() -> None:
    old, new = (f'SecAction "id:1,phase:1,pass,nolog,setvar:tx.inbound={n}"' for n in (5, 7))

    assert [piece.text for piece in pieces(old, new) if piece.changed] == ["5"]
