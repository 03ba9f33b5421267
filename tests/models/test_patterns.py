"""Regular expressions that an operator types: taken where Python and the engine (Go) read them alike, refused in words else."""

import pytest
from pydantic_core import PydanticCustomError

from guardpanel.models.patterns import pattern


@pytest.mark.parametrize(
    "text",
    [
        r"item_\d{1,3}", r"^/posts/\d+$", "(?:a|b)+?", "(?i)a", "[^/]+", "[]a:]", r"[\[:]x", "[:/]", "x{0,3}", r"x\{,3\}",
        r"\x2f[à-ü]", "a{1000}", "(?:a{10}){100}", r"[\\b]", r"(?:a{900}|b{900})\b", "(?:a{1000})*",
    ],
)  # fmt: skip
def test_what_both_read_alike_is_taken(text: str) -> None:
    assert pattern(text) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (r"item_\d{,3}", "least number"),  # Go takes the braces for text, Python begins at 0
        ("x{,}", "least number"),
        ("[_[:digit:]]+", "differently"),  # Python takes it for single characters
        (r"[\d[:alpha:]]", "differently"),
        ("[[:alpha:]]", "differently"),
        ("a++", "differently"),
        ("(?=a)", "ahead"),
        (r"\pL", "means nothing"),
        ("a{1001}", "1,000"),
        ("(?:a{999}){2}", "1,000"),
        ("((?:a{20}b)+c){60,}", "1,000"),
        (r"[\b]", "means nothing between"),  # a backspace to Python
        (r"x[^a\n\b]", "means nothing between"),
        ("(a", "not a pattern"),
        ("", "Enter a pattern"),
    ],
)
def test_what_they_read_otherwise_is_refused(text: str, words: str) -> None:
    with pytest.raises(PydanticCustomError, match=words):
        pattern(text)
