"""Differences of files: right for any two texts, small where little changed, bounded where all did."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardpanel.services.history.text_differences import MOST_LINES, FileDifferences, Line, between, compared, lines

few_lines = st.lists(st.sampled_from(["a", "b", "c", "", " b", "b "]), max_size=30)


def of(old: str, new: str) -> FileDifferences:
    return between({"f": old.encode()}, {"f": new.encode()}, ["f"])


def rows_of(differences: FileDifferences) -> list[Line]:
    return [line for file in differences.files for hunk in file.hunks for line in hunk]


@given(few_lines, few_lines)
def test_the_blocks_give_back_both_files(old: list[str], new: list[str]) -> None:
    blocks = compared(old, new)

    assert [line for block in blocks for line in old[block.i : block.i_end]] == old
    assert [line for block in blocks for line in new[block.j : block.j_end]] == new
    assert all(old[block.i : block.i_end] == new[block.j : block.j_end] for block in blocks if block.same)


@given(few_lines, few_lines)
def test_the_rows_are_those_of_the_files_with_three_lines_around(old: list[str], new: list[str]) -> None:
    rows = rows_of(of("\n".join([*old, ""]), "\n".join([*new, ""])))

    for row in rows:
        assert row.before is None or old[row.before - 1] == row.old
        assert row.after is None or new[row.after - 1] == row.new
        assert (row.kind == "same") == (row.before is not None and row.after is not None and row.kind != "changed")
    differing = {at for at, row in enumerate(rows) if row.kind != "same"}
    assert all(any(abs(at - other) <= 3 for other in differing) for at in range(len(rows)))
    assert bool(differing) == (old != new)


def test_one_line_changed_in_a_long_file_is_one_hunk() -> None:
    old = [f"line {n}" for n in range(50_000)]
    file = of("\n".join(old), "\n".join([*old[:30_000], "other", *old[30_001:]]))

    assert (file.added, file.removed, len(file.files[0].hunks)) == (1, 1, 1)
    assert [(row.kind, row.before, row.after) for row in rows_of(file)] == [
        ("same", 29_998, 29_998), ("same", 29_999, 29_999), ("same", 30_000, 30_000), ("changed", 30_001, 30_001),
        ("same", 30_002, 30_002), ("same", 30_003, 30_003), ("same", 30_004, 30_004),
    ]  # fmt: skip


def test_changes_far_apart_are_hunks_of_their_own_and_near_ones_are_one() -> None:
    old = [f"{n}" for n in range(100)]
    new = [*old]
    new[10] = new[16] = new[60] = "x"

    assert [len(hunk) for hunk in of("\n".join(old), "\n".join(new)).files[0].hunks] == [13, 7]


@pytest.mark.parametrize("blank", ["a ", "a\t", "\ta", "a\r", "a\u2028b", "a\x0bb", "a\x85b", "a\x1cb"])
def test_blanks_count_and_only_a_line_feed_ends_a_line(blank: str) -> None:
    assert lines(f"{blank}\nc\n".encode()) == [blank, "c"]
    assert (of(f"{blank}\n", "a\n").added, of(f"{blank}\n", "a\n").removed) == (1, 1)


def test_a_missing_last_line_end_is_said_and_is_no_line() -> None:
    file = of("a\n", "a")

    assert (file.files[0].name, file.files[0].hunks, file.added) == ("f", (), 0)
    assert of("a\n", "a\n").files == ()


def test_a_huge_difference_is_bounded_and_counted() -> None:
    old, new = ("\n".join(f"{side} {n}" for n in range(60_000)).encode() for side in "ab")
    files = between({"f": old, "g": b"x"}, {"f": new, "g": b"y"}, ["f", "g"])

    assert len(rows_of(files)) == MOST_LINES
    assert (files.added, files.removed) == (60_001, 60_001)
    assert [file.left_out for file in files.files] == [60_000 - MOST_LINES, 1]


def test_thousands_of_small_changes_between_lines_that_repeat_are_found() -> None:
    """As of a restore that changes one line of each of 5,000 virtual hosts. difflib alone would take minutes."""
    old = [
        line
        for n in range(5_000)
        for line in (f"backend be_{n}", "  option x", "  balance roundrobin", "  timeout 5", "")
    ]
    new = [line.replace("roundrobin", "first") for line in old]

    file = of("\n".join(old), "\n".join(new))

    assert (file.added, file.removed) == (5_000, 5_000)


def test_a_moved_block_is_removed_here_and_added_there() -> None:
    old = ["a", "b", "c", "d", "e"]
    file = of("\n".join(old), "d\ne\na\nb\nc")

    assert (file.added, file.removed) == (2, 2)


def test_a_file_that_is_new_or_gone_is_all_added_or_removed() -> None:
    assert (of("", "a\nb\n").added, of("a\nb\n", "").removed) == (2, 2)
    assert between({}, {"f": b""}, ["f"]).added == 0
