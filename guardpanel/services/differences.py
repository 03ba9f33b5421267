"""What differs between two states of the rows, as the operator knows it: by virtual host, policy and field."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, get_args

from pydantic import BaseModel

from guardpanel.models.traffic import ListenerFields
from guardpanel.models.types import shown
from guardpanel.rendering import Rows
from guardpanel.services.nouns import NOUNS, Key

Kind = Literal["added", "changed", "removed"]

TABLES = {noun.key: noun.table_name for noun in NOUNS.values()}
"The table of each noun, in the order in which they are shown."

CHILDREN = NOUNS["virtual_host"].children
"Tables whose rows are parts of a virtual host."

NOT_SHOWN = {"id", "version", "created_at", "updated_at", "virtual_host_id", "position"}

SHORT = 60
"Values up to so many characters stand in a summary."

MOST = 2_000
"Characters of a value that are shown."

WHOLE_LISTS = 8
"Items up to which a list is shown whole; of a longer one only those that differ."


def _named(*kinds: type) -> set[str]:
    """The fields whose values are of one of these types."""
    found = set()
    models: list[type[BaseModel]] = [*(noun.columns for noun in NOUNS.values()), ListenerFields]
    for model in models:
        for name, info in model.model_fields.items():
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
        for name, info in noun.columns.model_fields.items()
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
    """Every virtual host and policy that differs, policies first, each with its fields that do."""
    return first_between(before, after, None)[0]


def first_between(before: Rows, after: Rows, most: int | None) -> tuple[list[Difference], int]:
    """The first so many of them (None: all), and how many there are."""
    old, new = nouns(before), nouns(after)
    policies, policies_now = _policy_names(before), _policy_names(after)
    keys = touched(old, new)
    return [_difference(key, old.get(key), new.get(key), policies, policies_now) for key in keys[:most]], len(keys)


def touched(old: Mapping[Key, object], new: Mapping[Key, object]) -> list[Key]:
    """The virtual hosts and policies that are not the same in both, policies first."""
    order = list(TABLES)
    return sorted(
        (key for key in {*old, *new} if old.get(key) != new.get(key)), key=lambda key: (order.index(key[0]), key[1])
    )


def nouns(rows: Rows) -> dict[Key, dict[str, Any]]:
    """Each virtual host and policy as stored values by field, its hostnames and servers among them."""
    found = {
        (noun, row["id"]): {name: value for name, value in row.items() if name not in NOT_SHOWN}
        for noun, table in TABLES.items()
        for row in rows[table]
    }
    hostnames, servers = (_children(rows, table) for table in CHILDREN)
    for (noun, number), fields in found.items():
        if noun == "virtual_host":
            fields["hostnames"] = [row["name"] for row in hostnames[number]]
            fields["servers"] = servers[number]
    return found


def _children(rows: Rows, table: str) -> Mapping[int, list[dict[str, Any]]]:
    """By virtual host, in the operator's order."""
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in sorted(rows[table], key=lambda row: row["position"]):
        found[row["virtual_host_id"]].append({name: value for name, value in row.items() if name not in NOT_SHOWN})
    return found


def _policy_names(rows: Rows) -> dict[int, str]:
    return {row["id"]: row["name"] for row in rows["policy"]}


def _difference(
    key: Key,
    was: Mapping[str, Any] | None,
    now: Mapping[str, Any] | None,
    policies: Mapping[int, str],
    policies_now: Mapping[int, str],
) -> Difference:
    fields = []
    for name in dict.fromkeys([*(was or {}), *(now or {})]):
        before, after = (was or {}).get(name), (now or {}).get(name)
        if was is None or now is None:
            if (now or was or {})[name] == DEFAULTS[key[0]].get(name, ...):
                continue
        elif before == after:
            continue
        elif isinstance(before, list) and isinstance(after, list):
            before, after = _only_what_differs(before, after)
        fields.append(
            FieldDifference(
                name,
                _short(_text(name, before, policies)) if was is not None else None,
                _short(_text(name, after, policies_now)) if now is not None else None,
            )
        )
    kind: Kind = "added" if was is None else "removed" if now is None else "changed"
    return Difference(key[0], key[1], NOUNS[key[0]].name(now or was or {}), kind, tuple(fields))


def _only_what_differs(before: list[Any], after: list[Any]) -> tuple[list[Any], list[Any]]:
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


def server_in_words(server: Mapping[str, Any]) -> str:
    """`https://10.0.0.5:3000, weight 50, backup`: only what is not as usual."""
    words = [f"{server['scheme']}://{server['address']}"]
    words += [f"weight {server['weight']}"] if server["weight"] != 100 else []
    words += ["backup"] if server["backup"] else []
    words += [] if server["enabled"] else ["not in use"]
    words += ["resolved later"] if server["resolve_later"] else []
    return ", ".join(words)


def listener_in_words(listener: Mapping[str, Any]) -> str:
    """`0.0.0.0:80: PROXY protocol required from 10.0.0.0/8, TLS ends in front`"""
    words = []
    if listener["proxy_protocol"] != "off":
        needed = "required from" if listener["proxy_protocol"] == "required" else "from"
        words.append(f"PROXY protocol {needed} {', '.join(listener['proxy_networks'])}")
    words += ["TLS ends in front"] if listener["scheme"] == "https" else []
    return f"{listener['address']}: {', '.join(words)}"


ITEMS_IN_WORDS: dict[str, Callable[[Any], str]] = {
    "servers": server_in_words,
    "listeners": listener_in_words,
    "hostnames": shown,
}
"Of a list's items, by its name."


def as_text(fields: BaseModel, policies: Mapping[int, str]) -> dict[str, str]:
    """Fields as text by name, like those of `nouns`."""
    return {name: _text(name, value, policies) for name, value in fields}


def in_words(before: BaseModel, after: BaseModel, policies: Mapping[int, str] | None = None) -> str:
    """What an edit did, for the list of changes: `inbound threshold 5 → 7, hostname www.shop.example added`.

    `policies`: their names by id, where the fields name one.
    """
    parts: list[str] = []
    for name in type(after).model_fields:
        was, now = getattr(before, name), getattr(after, name)
        if was == now:
            continue
        if isinstance(now, list):
            parts += _lists(name, was, now)
        else:
            parts.append(_pair(name, _text(name, was, policies or {}), _text(name, now, policies or {})))
    return ", ".join(parts)


def label(name: str) -> str:
    """`health_check_path` → `Health check path`."""
    words = name.replace("_kib", "").replace("_id", "").replace("_", " ").replace(" anomaly", "")
    return (words[:1].upper() + words[1:]).replace("Tls", "TLS").replace(" ca", " CA").replace(" ip", " IP")


def _lists(name: str, was: Sequence[Any], now: Sequence[Any]) -> list[str]:
    word = label(name).removesuffix("s").lower()
    old, new = _items(name, was), _items(name, now)
    parts = [f"{word} {item} added" for item in new if item not in old]
    parts += [f"{word} {item} removed" for item in old if item not in new]
    return parts if 0 < len(parts) <= 3 else [label(name).lower()]


def _items(name: str, values: Iterable[Any]) -> list[str]:
    """Of a list: servers' rows, hostnames in their own script, or words as they are."""
    found = [value.model_dump(mode="json") if isinstance(value, BaseModel) else value for value in values]
    return [ITEMS_IN_WORDS.get(name, str)(one) for one in found]


def _pair(name: str, was: str, now: str) -> str:
    words = label(name)
    words = words if words.startswith("TLS") else words.lower().replace(" ip", " IP")
    if "\n" in was + now or len(was) > SHORT or len(now) > SHORT or was == now:
        return words
    return f"{words} {was or 'none'} → {now or 'none'}"


def _text(name: str, value: object, policies: Mapping[int, str]) -> str:
    if name == "policy_id":
        return policies.get(value, "") if isinstance(value, int) else "none"
    if name == "enforcement_mode" and value is None:
        return "as the policy"
    if isinstance(value, list):
        return "\n".join(_items(name, value))
    if name in FLAGS:
        return "yes" if value else "no"
    text = "" if value is None else str(value)
    return SPELT.get(text, text.replace("_", " ")) if name in WORDS else text
