"""What differs between two states of the rows, as the operator knows it: by virtual host, policy and field."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from guardpanel.models.types import shown
from guardpanel.rendering import Rows

Kind = Literal["added", "changed", "removed"]

TABLES = {"policy": "policy", "virtual_host": "virtualhost"}
"The table of each noun, in the order in which they are shown."

CHILDREN = ("hostname", "server")

NOT_SHOWN = {"id", "version", "created_at", "updated_at"}

SHORT = 60
"Values up to so many characters stand in a summary."


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
    old, new = nouns(before), nouns(after)
    found = []
    for key in sorted({*old, *new}, key=lambda key: (list(TABLES).index(key[0]), key[1])):
        was, now = old.get(key), new.get(key)
        if was == now:
            continue
        names = dict.fromkeys([*(was or {}), *(now or {})])
        fields = tuple(
            FieldDifference(name, was[name] if was else None, now[name] if now else None)
            for name in names
            if (was or {}).get(name) != (now or {}).get(name)
        )
        kind: Kind = "added" if was is None else "removed" if now is None else "changed"
        found.append(Difference(key[0], key[1], (now or was or {})["name"], kind, fields))
    return found


def nouns(rows: Rows) -> dict[tuple[str, int], dict[str, str]]:
    """Each virtual host and policy as text by field, names of policies in place of their ids."""
    policies = {row["id"]: row["name"] for row in rows["policy"]}
    children: dict[str, dict[int, list[Mapping[str, Any]]]] = {table: defaultdict(list) for table in CHILDREN}
    for table in CHILDREN:
        for row in sorted(rows[table], key=lambda row: row["position"]):
            children[table][row["virtual_host_id"]].append(row)
    found = {}
    for noun, table in TABLES.items():
        for row in rows[table]:
            fields = {name: _text(name, value, policies) for name, value in row.items() if name not in NOT_SHOWN}
            if noun == "virtual_host":
                fields["hostnames"] = "\n".join(shown(name["name"]) for name in children["hostname"][row["id"]])
                fields["servers"] = "\n".join(server_in_words(server) for server in children["server"][row["id"]])
            found[noun, row["id"]] = fields
    return found


def server_in_words(server: Mapping[str, Any]) -> str:
    """`https://10.0.0.5:3000, weight 50, backup`: only what is not as usual."""
    words = [f"{server['scheme']}://{server['address']}"]
    words += [f"weight {server['weight']}"] if server["weight"] != 100 else []
    words += ["backup"] if server["backup"] else []
    words += [] if server["enabled"] else ["not in use"]
    words += ["resolved later"] if server["resolve_later"] else []
    return ", ".join(words)


def as_text(fields: BaseModel, policies: Mapping[int, str]) -> dict[str, str]:
    """Fields as text by name, like those of `nouns`."""
    return {
        name: "\n".join(_items(value)) if isinstance(value, list) else _text(name, value, policies)
        for name, value in fields
    }


def in_words(before: BaseModel, after: BaseModel) -> str:
    """What an edit did, for the list of changes: `inbound threshold 5 → 7, hostname www.shop.example added`."""
    parts: list[str] = []
    for name in type(after).model_fields:
        was, now = getattr(before, name), getattr(after, name)
        if was == now:
            continue
        if isinstance(now, list):
            parts += _lists(name, was, now)
        else:
            parts.append(_pair(name, _text(name, was, {}), _text(name, now, {})))
    return ", ".join(parts)


def label(name: str) -> str:
    """`health_check_path` → `Health check path`."""
    words = name.replace("_kib", "").replace("_id", "").replace("_", " ").replace(" anomaly", "")
    return (words[:1].upper() + words[1:]).replace("Tls", "TLS").replace(" ca", " CA")


def _lists(name: str, was: Sequence[Any], now: Sequence[Any]) -> list[str]:
    word = label(name).removesuffix("s").lower()
    old, new = list(_items(was)), list(_items(now))
    parts = [f"{word} {item} added" for item in new if item not in old]
    parts += [f"{word} {item} removed" for item in old if item not in new]
    return parts if 0 < len(parts) <= 3 else [label(name).lower()]


def _items(values: Iterable[Any]) -> Iterable[str]:
    for value in values:
        yield server_in_words(value.model_dump(mode="json")) if isinstance(value, BaseModel) else shown(str(value))


def _pair(name: str, was: str, now: str) -> str:
    words = label(name)
    words = words if words.startswith("TLS") else words.lower()
    if name.endswith("_id") or "\n" in was + now or len(was) > SHORT or len(now) > SHORT:
        return words
    return f"{words} {was or 'none'} → {now or 'none'}"


def _text(name: str, value: object, policies: Mapping[int, str]) -> str:
    if name == "policy_id":
        return policies.get(value, "") if isinstance(value, int) else "none"
    if name == "enforcement_mode" and value is None:
        return "as the policy"
    if isinstance(value, list):
        return "\n".join(map(str, value))
    if name in FLAGS:
        return "yes" if value else "no"
    text = "" if value is None else str(value)
    return text.replace("_", " ") if name in WORDS else text


FLAGS = {"enabled", "maintenance", "health_check", "response_inspection"}
"Columns that SQLite stores as 0 and 1."

WORDS = {"enforcement_mode", "fail_mode", "over_limit", "balance"}
"Columns of words with underscores."
