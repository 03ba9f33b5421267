"""In which fields ordinary requests have values: those that were recorded, all of which passed. A group of events whose field is
among them is blocked for some values of a field that visitors use anyway."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from guardpanel.events.folding import path_template
from guardpanel.events.grouping import field_name
from guardpanel.services.events import recorded
from guardpanel.services.events.recorded import RecordedRequest

MOST_HOSTS = 10
MOST_OF_A_HOST = 200
"The newest requests that are looked at."

MOST_FIELDS = 200
"Of one request."

FORM, JSON = "application/x-www-form-urlencoded", "json"


class Place(NamedTuple):
    host: str
    method: str
    path: str
    "A template."


Passing = Mapping[Place, Counter[str]]
"By place, how many requests have a field: `ARGS:items[*][name]`."


def fields_that_pass(connection: sqlite3.Connection, hosts: Sequence[str]) -> Passing:
    passing: dict[Place, Counter[str]] = {}
    for host in hosts[:MOST_HOSTS]:
        for request in recorded.kept(connection, [host], MOST_OF_A_HOST).newest:
            place = Place(host, request.method, path_template(request.uri.partition("?")[0]))
            passing.setdefault(place, Counter()).update(set(_fields(request)))
    return passing


def count(passing: Passing, place: Place, fields: Iterable[str]) -> int:
    """The recorded requests that have a field, of several the rarest. 0 if one is no argument: others say nothing of a form."""
    names = list(fields)
    if not names or not all(name.startswith("ARGS:") for name in names):
        return 0
    return min(passing.get(place, Counter())[name] for name in names)


def _fields(request: RecordedRequest) -> Iterator[str]:
    names = [name for name, _ in parse_qsl(request.uri.partition("?")[2], keep_blank_values=True)]
    content_type = next((value for name, value in request.headers if name.lower() == "content-type"), "").lower()
    if FORM in content_type:
        names += [name for name, _ in parse_qsl(request.body, keep_blank_values=True)]
    elif JSON in content_type and not request.is_partial:
        names += _json_names(request.body)
    yield from (field_name("ARGS", name) for name in names[:MOST_FIELDS])


def _json_names(text: str) -> list[str]:
    try:
        return list(_leaves("json", json.loads(text)))[:MOST_FIELDS]
    except (ValueError, RecursionError):
        return []


def _leaves(name: str, value: Any) -> Iterator[str]:
    """As the engine calls them: `json.items.0.text`."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(f"{name}.{key}", inner)
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from _leaves(f"{name}.{position}", inner)
    else:
        yield name
