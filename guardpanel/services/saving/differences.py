"""What differs between two states of the rows, as operators know it: by noun and field."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from guardpanel.models import NOUNS
from guardpanel.models.meta import About, about, lowered
from guardpanel.models.noun import Key, Noun
from guardpanel.rendering import Rows
from guardpanel.services.saving.list_differences import edits, only_what_differs
from guardpanel.services.saving.noun_rows import nouns

Kind = Literal["added", "changed", "removed"]

Names = Mapping[str, Mapping[int, str]]
"Names of rows that others refer to, by noun and id."

SHORT = 60
"Maximum characters of a value in a summary."

DIGEST = re.compile(r"(?<=\()([0-9a-f]{8})[0-9a-f]{56}(?=\))")
"Of the entries of a list: its beginning tells it apart."

HASHED = re.compile(r"\([0-9a-f]{8}…\)")
"The same as it is shown. A summary has none: what saves entries adds which ones differ."

MOST = 2_000
"Maximum characters of a value that are shown."


DEFAULTS: dict[str, dict[str, Any]] = {
    noun.key: {
        name: info.get_default(call_default_factory=True, validated_data={})
        for name, info in noun.fields.model_fields.items()
    }
    for noun in NOUNS.values()
}
"The defaults of a new row. Of an added or deleted row, only fields that differ from them are shown."


@dataclass(frozen=True)
class FieldDifference:
    """`before` and `after` are lines of text. None if the row did not exist."""

    name: str
    label: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Difference:
    noun: str
    id: int
    name: str
    kind: Kind
    fields: tuple[FieldDifference, ...]


def between(before: Rows, after: Rows) -> list[Difference]:
    """All differences, in the order of the nouns, each with its differing fields."""
    return first_between(before, after, None)[0]


def first_between(before: Rows, after: Rows, most: int | None) -> tuple[list[Difference], int]:
    """The first ones (None: all), and the number of all."""
    keys = _touched(before, after)
    first = keys[:most]
    old, new = nouns(before, {*first}), nouns(after, {*first})
    names = _names(before), _names(after)
    return [_difference(key, old.get(key), new.get(key), *names) for key in first], len(keys)


def _touched(before: Rows, after: Rows) -> list[Key]:
    """As `touched`, without building what is in one of both alone: thousands of rows may be new."""
    old, new = (
        {(noun.key, row["id"]) for noun in NOUNS.values() for row in rows[noun.table_name]} for rows in (before, after)
    )
    both = old & new
    return _in_order([*(old ^ new), *touched(nouns(before, both), nouns(after, both))])


def touched(old: Mapping[Key, object], new: Mapping[Key, object]) -> list[Key]:
    """The rows that differ, in the order of the nouns."""
    return _in_order(key for key in {*old, *new} if old.get(key) != new.get(key))


def _in_order(keys: Iterable[Key]) -> list[Key]:
    order = {noun: at for at, noun in enumerate(NOUNS)}
    return sorted(keys, key=lambda key: (order[key[0]], key[1]))


def _names(rows: Rows) -> Names:
    keys = {key for noun in NOUNS.values() for key in noun.references.values()}
    return {key: {row["id"]: row["name"] for row in rows[NOUNS[key].table_name]} for key in keys}


def of_draft(noun: Noun, noun_id: int, before: BaseModel, after: BaseModel, names: Names) -> list[Difference]:
    """What differs between a row's fields and those of a draft of it."""
    was, now = (
        {name: getattr(fields, name) for name in ("name", *about(noun.fields)) if hasattr(fields, name)}
        for fields in (before, after)
    )
    difference = _difference((noun.key, noun_id), was, now, names, names)
    return [difference] if difference.fields else []


def _difference(
    key: Key, was: Mapping[str, Any] | None, now: Mapping[str, Any] | None, names: Names, names_now: Names
) -> Difference:
    noun, fields = NOUNS[key[0]], []
    for name, field in about(noun.fields).items():
        before, after = (was or {}).get(name), (now or {}).get(name)
        if was is None or now is None:
            if (now or was or {})[name] == DEFAULTS[noun.key].get(name, ...):
                continue
        elif before == after:
            continue
        old, new = _texts(noun, field, before, after, names, names_now)
        texts = None if was is None else _short(old), None if now is None else _short(new)
        fields.append(FieldDifference(name, field.title, *texts))
    kind: Kind = "added" if was is None else "removed" if now is None else "changed"
    return Difference(noun.key, key[1], noun.name(now or was or {}), kind, tuple(fields))


def _texts(noun: Noun, field: About, before: Any, after: Any, names: Names, names_now: Names) -> tuple[str, str]:
    if isinstance(before, list) and isinstance(after, list):
        items = _items(noun, field, before, names), _items(noun, field, after, names_now)
        old, new = only_what_differs(*items)
        return "\n".join(old), "\n".join(new)
    return _text(noun, field, before, names), _text(noun, field, after, names_now)


def _short(text: str) -> str:
    return text if len(text) <= MOST else f"{text[:MOST]}\n… {len(text) - MOST:,} more characters"


def as_text(fields: BaseModel, names: Names) -> dict[str, str]:
    """Fields as text by name, like those of `nouns`."""
    noun = _noun_of(fields)
    return {name: _text(noun, field, getattr(fields, name), names) for name, field in about(noun.fields).items()}


def in_words(before: BaseModel, after: BaseModel, names: Names | None = None) -> str:
    """A summary of an edit, for the list of changes: `body limit 128 KiB → 256 KiB, hostname www.x.example added`.
    `names` are those of rows that the fields refer to."""
    noun = _noun_of(after)
    return ", ".join(_changes(noun, about(noun.fields), before, after, names or {}))


def _changes(
    noun: Noun, fields: Mapping[str, About], before: BaseModel, after: BaseModel, names: Names
) -> Iterator[str]:
    for name, field in fields.items():
        was, now = getattr(before, name), getattr(after, name)
        if was == now:
            continue
        if isinstance(now, list):
            yield from _lists(noun, field, was, now, names)
        elif not HASHED.search(now_text := _text(noun, field, now, names)):
            yield _pair(field, _text(noun, field, was, names), now_text)


def _noun_of(fields: BaseModel) -> Noun:
    return next(noun for noun in NOUNS.values() if isinstance(fields, noun.fields))


def _lists(noun: Noun, field: About, was: Sequence[Any], now: Sequence[Any], names: Names) -> list[str]:
    old, new = _by_name(noun, field, was, names), _by_name(noun, field, now, names)
    come = [_item(noun, field, new[key], names) for key in new if key not in old]
    gone = [_item(noun, field, old[key], names) for key in old if key not in new]
    edited = edits(gone, come)
    parts = edited or [f"{text} added" for text in come]
    parts += [
        f"{key[0]} {', '.join(_changes(noun, field.rows, old[key], new[key], {}))}"
        for key in new
        if key in old and old[key] != new[key]
    ]
    parts += [] if edited else [f"{text} removed" for text in gone]
    return [f"{field.item} {part}" for part in parts] if 0 < len(parts) <= 3 else [field.in_sentence]


def _by_name(noun: Noun, field: About, values: Iterable[Any], names: Names) -> dict[tuple[str, int], Any]:
    """A list's items by their identifying value, and its occurrence."""
    known_by = next((part.known_by for part in noun.parts if part.field == field.name), "")
    by_name: dict[tuple[str, int], Any] = {}
    times: Counter[str] = Counter()
    for value in values:
        called = str(getattr(value, known_by)) if known_by else _item(noun, field, value, names)
        by_name[called, times[called]] = value
        times[called] += 1
    return by_name


def _items(noun: Noun, field: About, values: Iterable[Any], names: Names) -> list[str]:
    """A list's items: parts described, rows by name, others as they are."""
    return [_item(noun, field, value, names) for value in values]


def _item(noun: Noun, field: About, value: Any, names: Names) -> str:
    if field.name in noun.references:
        return names.get(noun.references[field.name], {}).get(value, str(value))
    in_words = next((part.in_words for part in noun.parts if part.field == field.name), str)
    return in_words(value.model_dump(mode="json") if isinstance(value, BaseModel) else value)


def _pair(field: About, was: str, now: str) -> str:
    if "\n" in was + now or len(was) > SHORT or len(now) > SHORT or was == now:
        return field.in_sentence
    if field.choices:
        was, now = lowered(was), lowered(now)
    return f"{field.in_sentence} {was or 'none'} → {now or 'none'}"


def _text(noun: Noun, field: About, value: object, names: Names) -> str:
    if isinstance(value, list):
        return "\n".join(_items(noun, field, value, names))
    if field.name in noun.references and isinstance(value, int):
        return names.get(noun.references[field.name], {}).get(value, "")
    return DIGEST.sub(r"\1…", field.text(value))
