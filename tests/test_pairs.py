"""What `pytest.mark.pairwise` leaves of a test's parameters."""

from itertools import combinations, product

from tests.pairs import covering

SETS = [tuple(zip("abcd", values, strict=True)) for values in product(range(3), range(2), range(2), range(2))]


def test_each_pair_of_values_stays_in_far_fewer_sets() -> None:
    chosen = [SETS[at] for at in covering(SETS)]

    assert {pair for each in chosen for pair in combinations(each, 2)} == {
        pair for each in SETS for pair in combinations(each, 2)
    }
    assert len(chosen) <= 8


def test_two_parameters_keep_all_their_sets_and_one_all_its_values() -> None:
    two = [tuple(zip("ab", values, strict=True)) for values in product(range(3), range(2))]

    assert covering(two) == list(range(6))
    assert covering([(("a", 0),), (("a", 1),)]) == [0, 1]
    assert covering([()]) == []
