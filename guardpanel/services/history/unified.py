"""Differences of files as `diff -u` prints them."""

from collections.abc import Iterator, Sequence

from guardpanel.services.history.text_differences import FileDifference, FileDifferences, Line


def unified(differences: FileDifferences) -> str:
    """As `diff -u` prints it, as far as lines are shown."""
    return "".join(f"{line}\n" for file in differences.files for line in _unified(file))


def _unified(file: FileDifference) -> Iterator[str]:
    yield f"--- {file.name}"
    yield f"+++ {file.name}"
    for hunk in file.hunks:
        old, new = (
            [each for each in numbers if each]
            for numbers in zip(*((row.before, row.after) for row in hunk), strict=True)
        )
        yield f"@@ -{old[0] if old else 0},{len(old)} +{new[0] if new else 0},{len(new)} @@"
        yield from _rows(hunk)
    if file.left_out:
        yield f"# {file.left_out:,} more lines"


def _rows(hunk: Sequence[Line]) -> Iterator[str]:
    """Removed lines before those that replace them."""
    added: list[str] = []
    for row in hunk:
        if row.kind == "same":
            yield from added
            added = []
            yield f" {row.old}"
            continue
        if row.before is not None:
            yield f"-{row.old}"
        if row.after is not None:
            added.append(f"+{row.new}")
    yield from added
