"""The dashboard's one sentence counts what it says it counts."""

from collections import Counter

import pytest

from guardpanel.services.truth.dashboard import Overview
from guardpanel.services.truth.live_line import LiveLine


def overview(states: dict[str, int]) -> Overview:
    return Overview(
        engines=None,  # type: ignore[arg-type]  # the sentence asks neither them nor the revision
        live=None,
        line=LiveLine("ok", "Revision 1 is live", ""),
        last=[],
        worst=[],
        states=Counter(states),
        modes=Counter(),
        problem=None,
    )


@pytest.mark.parametrize(
    ("states", "sentence"),
    [
        ({}, "Ready for your first virtual host"),
        ({"up": 1}, "1 virtual host up"),
        ({"up": 12, "off": 1}, "All 12 virtual hosts up"),
        ({"up": 10, "unknown": 2}, "10 of 12 up, 2 not checked"),
        ({"unknown": 2}, "No health check results"),
        ({"maintenance": 1, "off": 2}, "Every virtual host is disabled or in maintenance"),
        ({"redirects": 1, "off": 2}, "Every virtual host redirects, or is disabled or in maintenance"),
        ({"redirects": 1, "up": 2}, "All 2 virtual hosts up"),
    ],
)
def test_the_sentence_says_all_only_where_it_is_all(states: dict[str, int], sentence: str) -> None:
    assert overview(states).sentence == sentence
