"""Values that earlier versions took, and that never had an effect: dropped, or repaired where it is clear what was meant.

Rows have been mended by a migration; what is kept of earlier states (revisions, backups) is mended where it is read.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from ipaddress import ip_network
from typing import Any, NamedTuple

from guardpanel.models.networks import WIDEST, network
from guardpanel.models.policies.content_types import NEVER_ALLOWED
from guardpanel.models.policies.policy_lists import BETWEEN, REFUSED_METHODS, SAME_PLACE

Row = Mapping[str, Any]


class Dropped(NamedTuple):
    field: str
    value: str


def _mask(entry: str) -> str | None:
    plain = entry.lstrip(BETWEEN).rstrip(".:/")
    return entry if plain == entry else plain.strip(BETWEEN).removeprefix("*.") or None


def _network(text: str) -> str | None:
    with suppress(ValueError):
        return network(text)
    with suppress(ValueError):
        parsed = ip_network(text)
        return None if parsed.prefixlen >= WIDEST[parsed.version] else text
    return text


NOW: Mapping[str, Mapping[str, Callable[[str], str | None]]] = {
    "policy": {
        "skip_paths": lambda entry: None if SAME_PLACE.search(entry) else entry,
        "masked_fields": _mask,
        "allowed_content_types": lambda entry: None if NEVER_ALLOWED & set(entry) else entry,
        "allowed_methods": lambda entry: None if entry in REFUSED_METHODS else entry,
    },
    "traffic": {"trusted_networks": _network},
}
"By table and list: what an entry is now, None if nothing. Of listeners, see below."

NEVER_EMPTY = {"allowed_content_types", "allowed_methods", "trusted_networks", "listeners"}
"Lists that have to name something, as a rule."


LISTS = frozenset({"listeners", *(name for fields in NOW.values() for name in fields)})
"Columns that hold one, as JSON."


def mended(table: str, row: Row) -> tuple[Row, list[Dropped]]:
    """The row as it may be now, and what of it is gone. A list of which nothing would be left stays: it says what to enter."""
    dropped: list[Dropped] = []
    changed: dict[str, Any] = {}
    for field, now in NOW.get(table, {}).items():
        if field in row:
            changed[field] = _entries(field, row[field], now, dropped)
    if table == "traffic" and isinstance(row.get("listeners"), list):
        changed["listeners"] = [_listener(listener, dropped) for listener in row["listeners"]]
    return ({**row, **changed}, dropped) if any(row[name] != value for name, value in changed.items()) else (row, [])


def _listener(listener: Any, dropped: list[Dropped]) -> Any:
    if not isinstance(listener, dict) or "proxy_networks" not in listener:
        return listener
    networks = _entries("listeners", listener["proxy_networks"], _network, dropped)
    return {**listener, "proxy_networks": networks}


def _entries(field: str, entries: Any, now: Callable[[str], str | None], dropped: list[Dropped]) -> Any:
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        return entries  # not from us: refused where it is checked
    kept = {entry: now(entry) for entry in entries}
    left = list(dict.fromkeys(entry for entry in kept.values() if entry is not None))
    if not left and field in NEVER_EMPTY:
        return entries
    dropped += [Dropped(field, entry) for entry, value in kept.items() if value is None]
    return left
