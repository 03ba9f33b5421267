"""What differs between two states of the rows, as the operator knows it: by noun and field."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, get_args

from pydantic import BaseModel

from guardpanel.models import NOUNS
from guardpanel.models.noun import Key, Noun, Part
from guardpanel.rendering import Rows

Kind = Literal["added", "changed", "removed"]

Names = Mapping[str, Mapping[int, str]]
"How those that others refer to are called: by noun and id."

NOT_SHOWN = {"id", "version", "created_at", "updated_at"}

SHORT = 60
"Values up to so many characters stand in a summary."

MOST = 2_000
"Characters of a value that are shown."

WHOLE_LISTS = 8
"Items up to which a list is shown whole; of a longer one only those that differ."


def _named(*kinds: type) -> set[str]:
    """The fields whose values are of one of these types."""
    found = set()
    for noun in NOUNS.values():
        for name, info in noun.fields.model_fields.items():
            types = [one for one in (info.annotation, *get_args(info.annotation)) if isinstance(one, type)]
            found |= {name} if any(issubclass(one, kinds) for one in types) else set()
    return found


FLAGS = _named(bool)
"Columns that SQLite stores as 0 and 1."

WORDS = _named(StrEnum)
"Columns of words with underscores."

SPELT = {"x_forwarded_for": "X-Forwarded-For"}
"Those that have a spelling of their own."


DEFAULTS: dict[str, dict[str, Any]] = {
    noun.key: {
        name: info.get_default(call_default_factory=True, validated_data={})
        for name, info in noun.fields.model_fields.items()
    }
    for noun in NOUNS.values()
}
"What a new one has. Of one that came or went, only what differs from that is told."


@dataclass(frozen=True)
class FieldDifference:
    """`before` and `after` are lines of text; None where the noun was not there."""

    name: str
    before: str | None
    after: str | None

    @property
    def label(self) -> str:
        return label(self.name)


@dataclass(frozen=True)
class Difference:
    noun: str
    id: int
    name: str
    kind: Kind
    fields: tuple[FieldDifference, ...]


def between(before: Rows, after: Rows) -> list[Difference]:
    """Everything that differs, in the order of the nouns, each with its fields that do."""
    return first_between(before, after, None)[0]


def first_between(before: Rows, after: Rows, most: int | None) -> tuple[list[Difference], int]:
    """The first so many of them (None: all), and how many there are."""
    old, new = nouns(before), nouns(after)
    names, names_now = _names(before), _names(after)
    keys = touched(old, new)
    return [_difference(key, old.get(key), new.get(key), names, names_now) for key in keys[:most]], len(keys)


def touched(old: Mapping[Key, object], new: Mapping[Key, object]) -> list[Key]:
    """Those that are not the same in both, in the order of the nouns."""
    order = list(NOUNS)
    return sorted(
        (key for key in {*old, *new} if old.get(key) != new.get(key)), key=lambda key: (order.index(key[0]), key[1])
    )


def nouns(rows: Rows) -> dict[Key, dict[str, Any]]:
    """Everything as stored values by field, its parts among them."""
    return {
        (noun.key, row["id"]): {name: value for name, value in row.items() if name not in NOT_SHOWN}
        for noun in NOUNS.values()
        for row in with_parts(noun, rows)
    }


def with_parts(noun: Noun, rows: Rows) -> list[dict[str, Any]]:
    """The rows of a noun, each with the items of its parts by field."""
    parts = {part.field: _items_of(part, rows) for part in noun.parts if part.table}
    return [{**row, **{name: items[row["id"]] for name, items in parts.items()}} for row in rows[noun.table_name]]


def _items_of(part: Part, rows: Rows) -> Mapping[int, list[Any]]:
    """By the id of their owner, in the operator's order."""
    found: dict[int, list[Any]] = defaultdict(list)
    for row in sorted(rows[part.table_name], key=lambda row: row["position"]):
        found[row[part.owner]].append(part.item(row))
    return found


def _names(rows: Rows) -> Names:
    wanted = {key for noun in NOUNS.values() for key in noun.references.values()}
    return {key: {row["id"]: row["name"] for row in rows[NOUNS[key].table_name]} for key in wanted}


def _difference(
    key: Key, was: Mapping[str, Any] | None, now: Mapping[str, Any] | None, names: Names, names_now: Names
) -> Difference:
    noun, fields = NOUNS[key[0]], []
    for name in dict.fromkeys([*(was or {}), *(now or {})]):
        before, after = (was or {}).get(name), (now or {}).get(name)
        if was is None or now is None:
            if (now or was or {})[name] == DEFAULTS[noun.key].get(name, ...):
                continue
        elif before == after:
            continue
        old, new = _texts(noun, name, before, after, names, names_now)
        fields.append(FieldDifference(name, None if was is None else _short(old), None if now is None else _short(new)))
    kind: Kind = "added" if was is None else "removed" if now is None else "changed"
    return Difference(noun.key, key[1], noun.name(now or was or {}), kind, tuple(fields))


def _texts(noun: Noun, name: str, before: Any, after: Any, names: Names, names_now: Names) -> tuple[str, str]:
    if isinstance(before, list) and isinstance(after, list):
        old, new = _only_what_differs(_items(noun, name, before), _items(noun, name, after))
        return "\n".join(old), "\n".join(new)
    return _text(noun, name, before, names), _text(noun, name, after, names_now)


def _only_what_differs(before: list[str], after: list[str]) -> tuple[list[str], list[str]]:
    """Of long lists that have most items in common: the others, and how many there are besides."""
    if max(len(before), len(after)) <= WHOLE_LISTS:
        return before, after
    gone, come = [one for one in before if one not in after], [one for one in after if one not in before]
    same = len(after) - len(come)
    if not (gone or come) or same == 0:
        return before, after
    rest = [f"and {same} that stay"]
    return gone + rest, come + rest


def _short(text: str) -> str:
    return text if len(text) <= MOST else f"{text[:MOST]}\n… {len(text) - MOST:,} more characters"


def as_text(fields: BaseModel, names: Names) -> dict[str, str]:
    """Fields as text by name, like those of `nouns`."""
    noun = _noun_of(fields)
    return {name: _text(noun, name, value, names) for name, value in fields}


def in_words(before: BaseModel, after: BaseModel, names: Names | None = None) -> str:
    """What an edit did, for the list of changes: `inbound threshold 5 → 7, hostname www.shop.example added`.

    `names`: of what the fields refer to.
    """
    noun, parts = _noun_of(after), []
    for name in noun.fields.model_fields:
        was, now = getattr(before, name), getattr(after, name)
        if was == now:
            continue
        if isinstance(now, list):
            parts += _lists(noun, name, was, now)
        else:
            parts.append(_pair(name, _text(noun, name, was, names or {}), _text(noun, name, now, names or {})))
    return ", ".join(parts)


def _noun_of(fields: BaseModel) -> Noun:
    return next(noun for noun in NOUNS.values() if isinstance(fields, noun.fields))


def label(name: str) -> str:
    """`health_check_path` → `Health check path`."""
    words = name.replace("_kib", "").replace("_id", "").replace("_", " ").replace(" anomaly", "")
    return (words[:1].upper() + words[1:]).replace("Tls", "TLS").replace(" ca", " CA").replace(" ip", " IP")


def _lists(noun: Noun, name: str, was: Sequence[Any], now: Sequence[Any]) -> list[str]:
    word = label(name).removesuffix("s").lower()
    old, new = _items(noun, name, was), _items(noun, name, now)
    parts = [f"{word} {item} added" for item in new if item not in old]
    parts += [f"{word} {item} removed" for item in old if item not in new]
    return parts if 0 < len(parts) <= 3 else [label(name).lower()]


def _items(noun: Noun, name: str, values: Iterable[Any]) -> list[str]:
    """Of a list: parts in words, or text as it is."""
    in_words = next((part.in_words for part in noun.parts if part.field == name), str)
    return [in_words(value.model_dump(mode="json") if isinstance(value, BaseModel) else value) for value in values]


def _pair(name: str, was: str, now: str) -> str:
    words = label(name)
    words = words if words.startswith("TLS") else words.lower().replace(" ip", " IP")
    if "\n" in was + now or len(was) > SHORT or len(now) > SHORT or was == now:
        return words
    return f"{words} {was or 'none'} → {now or 'none'}"


def _text(noun: Noun, name: str, value: object, names: Names) -> str:
    if value is None:
        return noun.unset.get(name, "")
    if isinstance(value, list):
        return "\n".join(_items(noun, name, value))
    if name in noun.references and isinstance(value, int):
        return names.get(noun.references[name], {}).get(value, "")
    if name in FLAGS:
        return "yes" if value else "no"
    text = str(value)
    return SPELT.get(text, text.replace("_", " ")) if name in WORDS else text
