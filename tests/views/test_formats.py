"""Numbers with what they count."""

import pytest

from guardpanel.views.formats import counted


@pytest.mark.parametrize(
    ("count", "word", "text"),
    [
        (0, "rule", "0 rules"),
        (1, "rule", "1 rule"),
        (1_200, "virtual host", "1,200 virtual hosts"),
        (1, "entry", "1 entry"),
        (2, "policy", "2 policies"),
        (2, "day", "2 days"),
        (2, "address", "2 addresses"),
    ],
)
def test_a_number_stands_before_its_word_in_the_right_form(count: int, word: str, text: str) -> None:
    assert counted(count, word) == text
