"""Which row of the database each row of a file is: by name within its parent, and in order where several have the same."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from pydantic_core import to_jsonable_python

from guardpanel.errors import Invalid
from guardpanel.models.noun import KEPT, Noun
from guardpanel.services.input import validated
from guardpanel.services.site_file.entries import Entry
from guardpanel.services.site_file.keys import Values, operations
from guardpanel.services.site_file.rows import FileRow

MOST_COMPARED = 1_000_000
"Pairs of rows that are compared to find renamed ones: of more, each is deleted and added."

Pair = tuple[str, Values | None]
"What an entry is called, and its values. None if they are not valid, or refer to what is not there yet."

Fits = Callable[[Entry, Pair, FileRow], bool]


def read(noun: Noun, data: Values, resolved: Values | None) -> Pair:
    """`data`: with references as they are written. `resolved`: with ids, if all of them are there."""
    try:
        fields = validated(noun.fields, _fields(noun, resolved if resolved is not None else _unreferring(noun, data)))
    except Invalid:
        return noun.only_name or str(data.get("name") or ""), None
    name = operations(noun).name(fields)
    return name, dict(to_jsonable_python(dict(fields))) if resolved is not None else None


def _fields(noun: Noun, data: Values) -> Values:
    return {name: value for name, value in data.items() if name in noun.fields.model_fields}


def _unreferring(noun: Noun, data: Values) -> Values:
    return {name: value for name, value in data.items() if name not in noun.references}


def is_same(noun: Noun, raw: Values, values: Values | None, row: FileRow) -> bool:
    """Nothing is to be saved. What is stored apart counts only if it is in the file, and is no secret."""
    if values is None:
        return False
    own = {name: value for name, value in row.values.items() if name in noun.fields.model_fields}
    apart = [name for name in noun.apart if name in raw and not is_secret(name, row)]
    return all(values[name] == value for name, value in own.items()) and all(
        raw[name] == row.values.get(name) for name in apart
    )


def is_secret(name: str, row: FileRow) -> bool:
    """What such a row keeps. What it does not have, such as the key of a feed that is a list now, is taken from the file."""
    return bool(row.values.get(name) == KEPT)


def match(
    entries: Sequence[Entry], pairs: Sequence[Pair], rows: Iterable[FileRow], noun: Noun, *, renames: bool
) -> None:
    """Sets the `row` of each entry that has one: first those that are the same, then by name, at last ignoring case.
    `renames`: a row that would be deleted is what differs from it in two fields at most, such as name and hostnames."""
    free = {row.id: row for row in rows}
    for key, fits in ((_name, partial(_is_same, noun)), (_name, _any), (str.lower, _any)):
        named = defaultdict(list)
        for row in free.values():
            named[key(row.name)].append(row)
        _pair(entries, pairs, free, lambda pair, key=key, named=named: named[key(pair[0])], fits)  # type: ignore[misc]
    unmatched = sum(entry.row is None for entry in entries)
    if renames and not noun.secret and unmatched * len(free) <= MOST_COMPARED:
        for most in (1, 2):
            _pair(entries, pairs, free, lambda _: free.values(), partial(_is_close, most))


def _pair(
    entries: Sequence[Entry],
    pairs: Sequence[Pair],
    free: dict[int, FileRow],
    candidates: Callable[[Pair], Iterable[FileRow]],
    fits: Fits,
) -> None:
    for entry, pair in zip(entries, pairs, strict=True):
        if entry.row is None:
            entry.row = next((row for row in candidates(pair) if row.id in free and fits(entry, pair, row)), None)
            if entry.row is not None:
                entry.row_id = entry.row.id
                del free[entry.row.id]


def _name(name: str) -> str:
    return name


def _any(_entry: Entry, _pair: Pair, _row: FileRow) -> bool:
    return True


def _is_same(noun: Noun, entry: Entry, pair: Pair, row: FileRow) -> bool:
    return is_same(noun, entry.raw, pair[1], row)


def _is_close(most: int, _entry: Entry, pair: Pair, row: FileRow) -> bool:
    values = pair[1]
    return values is not None and sum(values[name] != row.values.get(name) for name in values) <= most


def to_send(noun: Noun, data: Values, row: FileRow | None) -> dict[str, Any]:
    """Without what only says that there is a secret, and without secrets of a row that has its own."""
    return {
        name: value
        for name, value in data.items()
        if name not in noun.apart or (value != KEPT and (row is None or not is_secret(name, row)))
    }
