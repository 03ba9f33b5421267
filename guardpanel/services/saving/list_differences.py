"""What differs between two lists, each item as text."""

WHOLE_LISTS = 8
"Items up to which a list is shown whole. Of longer lists, only differing items."


def only_what_differs(before: list[str], after: list[str]) -> tuple[list[str], list[str]]:
    """For long lists with mostly equal items: the differing ones, and how many others there are."""
    if max(len(before), len(after)) <= WHOLE_LISTS:
        return before, after
    gone, come = [item for item in before if item not in after], [item for item in after if item not in before]
    same = len(after) - len(come)
    if not (gone or come) or same == 0:
        return before, after
    rest = [f"and {same} that stay" if same > 1 else "and 1 that stays"]
    return gone + rest, come + rest


def edits(gone: list[str], come: list[str]) -> list[str]:
    """`http://10.0.0.7:80 → http://10.0.0.7:80 disabled`: items of several words that begin alike are the same ones, edited.
    Empty if they are not in pairs."""
    if [text.split()[:1] for text in gone] != [text.split()[:1] for text in come]:
        return []
    return [f"{before} → {after}" for before, after in zip(gone, come, strict=True)]
