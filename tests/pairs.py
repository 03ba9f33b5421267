"""Of a test with many parameters, as few sets of them as have each pair of values at least once (`pytest.mark.pairwise`).

A fault that needs a third value, too, is found by `make nightly` and `make live-all`, which run all sets.
"""

from collections.abc import Sequence
from itertools import combinations

import pytest

Values = Sequence[tuple[str, object]]
"Parameters, each with its value."


def covering(sets: Sequence[Values]) -> list[int]:
    """Which of them have each pair that all together have: the one with the most new pairs next, the first of equals."""
    pairs = [frozenset(combinations(values, 2)) or frozenset((value, value) for value in values) for values in sets]
    left, chosen = frozenset().union(*pairs), list[int]()
    while left:
        best = max(range(len(sets)), key=lambda at: len(pairs[at] & left))
        chosen.append(best)
        left -= pairs[best]
    return sorted(chosen)


def superfluous(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Of marked tests, all sets but those."""
    tests: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("pairwise") and hasattr(item, "callspec"):
            tests.setdefault(item.nodeid.partition("[")[0], []).append(item)
    others = list[pytest.Item]()
    for its in tests.values():
        chosen = covering([values(item) for item in its])
        others += [item for at, item in enumerate(its) if at not in chosen]
    return others


def values(item: pytest.Item) -> Values:
    return [(name, repr(value)) for name, value in sorted(item.callspec.params.items())]  # type: ignore[attr-defined]
