"""Numbers with what they count, and times with their units."""

import pytest

from guardpanel.views.formats import counted, duration, size


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


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3_599, "59 min"),
        (3_600, "1 h"),
        (12_000, "3 h 20 min"),
        (86_400, "1 d"),
        (90_061, "1 d 1 h"),
        (8_640_000, "100 d"),
    ],
)
def test_how_long_something_has_lasted_has_its_unit(seconds: int, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1_023, "1,023 B"),
        (1_024, "1.0 KiB"),
        (2_000, "2.0 KiB"),
        (1_048_575, "1.0 MiB"),
        (5_000_000, "4.8 MiB"),
        (3 * 1024**4, "3.0 TiB"),
        (2 * 1024**6, "2,048.0 PiB"),
    ],
)
def test_a_size_has_a_unit_of_one_kind(count: int, text: str) -> None:
    assert size(count) == text
