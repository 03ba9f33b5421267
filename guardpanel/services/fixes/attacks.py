"""Attacks in the fields that a fix frees and beside them: what of them is still blocked is what the fix costs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import quote, urlencode

from guardpanel.models.rules.rule_exclusion import Target
from guardpanel.services.fixes.blame import Field
from guardpanel.services.fixes.requests import Request

MOST_FAMILIES = 2
"Of a fix: a dozen attacks each, in three places."

GENERAL = ("941", "942")
"Tried where the rules are about the protocol: there are no attacks of their own for those."

CARRIERS = {Target.ARGUMENT, Target.JSON, Target.COOKIE, Target.HEADER}
"Fields into which any text can be put."

FORM = "application/x-www-form-urlencoded"


class Place(StrEnum):
    FIELD = "field"
    NEIGHBOR = "neighbor"
    PATH = "path"


@dataclass(frozen=True)
class Attack:
    place: Place
    payload: str
    request: Request


@cache
def payloads() -> dict[str, list[str]]:
    """By family of rules. Each is blocked at paranoia level 1 by a rule of its family (tests/live/test_fix_cases.py)."""
    text = resources.files("guardpanel.services.fixes").joinpath("attacks.json").read_text("utf-8")
    return dict(json.loads(text))


def families(rules: Sequence[int]) -> tuple[str, ...]:
    known = [str(rule // 1_000) for rule in rules if str(rule // 1_000) in payloads()]
    return tuple(dict.fromkeys(known))[:MOST_FAMILIES] or GENERAL


def carrier(fields: Sequence[Field]) -> Field:
    """The field that attacks are put into; another argument where the fix names none that takes any text."""
    return next((field for field in fields if field.target in CARRIERS), Field(Target.ARGUMENT, "q"))


def attacks(
    request: Request,
    fields: Sequence[Field],
    rules: Sequence[int],
    only_if: Sequence[str] = (),
    *,
    frees_any: bool = False,
) -> list[Attack]:
    """Each payload where the fix frees something, in a field beside that, and in the same field on another path.

    `frees_any`: it frees whatever stands in the request. Else attacks fit into some only of the fields that it may free.
    """
    field, conditions = carrier(fields), [_pair(text) for text in only_if]
    beside = Field(field.target, f"{field.name}_x")
    elsewhere = replace(request, uri=_other_path(request.uri))
    fits = frees_any or not fields or field in fields
    made = []
    for payload in (text for family in families(rules) for text in payloads()[family]):
        if fits:
            made.append(Attack(Place.FIELD, payload, carried(request, field, payload, conditions)))
        made += [
            Attack(Place.NEIGHBOR, payload, carried(request, beside, payload, conditions)),
            Attack(Place.PATH, payload, carried(elsewhere, field, payload, conditions)),
        ]
    return made


def _pair(condition: str) -> tuple[str, str]:
    name, _, value = condition.partition("=")
    return name, value


def _other_path(uri: str) -> str:
    path, mark, query = uri.partition("?")
    return f"{path.rstrip('/')}-x{mark}{query}"


def carried(request: Request, field: Field, payload: str, conditions: Sequence[tuple[str, str]] = ()) -> Request:
    """The request with nothing but this in that field, and the arguments that the fix asks for."""
    bare = _bare(request)
    match field.target:
        case Target.JSON:
            return _with_body(_asked(bare, conditions), "application/json", json.dumps(_document(field.name, payload)))
        case Target.COOKIE:
            return _with_header(_asked(bare, conditions), "cookie", f"{field.name}={quote(payload)}")
        case Target.HEADER:
            return _with_header(_asked(bare, conditions), field.name, payload)
    arguments = [(field.name, payload), *conditions]
    if request.method in {"GET", "HEAD", "DELETE", "OPTIONS"} or field.name in dict(request.query):
        return _asked(bare, arguments)
    return _with_body(bare, FORM, urlencode(arguments))


def _bare(request: Request) -> Request:
    """Without query, body and cookies."""
    kept = [(name, value) for name, value in request.headers if name.lower() not in DROPPED]
    return replace(request, uri=request.uri.partition("?")[0], headers=tuple(kept), body=b"")


DROPPED = {"cookie", "content-type", "content-length", "transfer-encoding", "content-encoding"}


def _asked(request: Request, arguments: Sequence[tuple[str, str]]) -> Request:
    return replace(request, uri=f"{request.uri}?{urlencode(arguments)}") if arguments else request


def _with_header(request: Request, name: str, value: str) -> Request:
    others = [header for header in request.headers if header[0].lower() != name.lower()]
    return replace(request, headers=(*others, (name, value)))


def _with_body(request: Request, kind: str, body: str) -> Request:
    with_type = _with_header(request, "content-type", kind)
    data = body.encode()
    return replace(_with_header(with_type, "content-length", str(len(data))), body=data)


def _document(name: str, payload: str) -> Any:
    """`items.0.text` → `{"items": [{"text": payload}]}`"""
    document: Any = payload
    for step in reversed(name.split(".")):
        is_index = step.isascii() and step.isdigit() and len(step) < 3
        document = [*[None] * int(step), document] if is_index else {step: document}
    return document
