"""A text of SecLang as fields of a custom rule: the builder's where it can say the same, else the text with what lists need."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from guardpanel.models.rules.custom_rule_checks import read
from guardpanel.models.rules.custom_rule_choices import CustomAction, RulePhase
from guardpanel.models.rules.custom_rule_text import Built, built, is_tag, link_of
from guardpanel.models.rules.seclang import Link, NotSecLang
from guardpanel.models.types import plain_name

UNREAD: Mapping[str, Any] = {"rule_id": 9_000_000, "name": "Rule", "variables": [], "operator_argument": ""}
"Of a text that is no rule: its own check says what is wrong with it."


def fields_from(text: str, builder: type[BaseModel]) -> dict[str, Any]:
    """`seclang` is empty in them where the builder says the same."""
    try:
        links = read(text)
    except NotSecLang:
        return {**UNREAD, "seclang": text}
    return as_built(links, builder) or {**_listed(links), "seclang": text}


def as_built(links: Sequence[Link], builder: type[BaseModel]) -> dict[str, Any] | None:
    """None for what the builder cannot say, or would say otherwise: a name in another case, a pattern of another kind."""
    fields = built(links)
    if fields is None:
        return None
    try:
        rule: Any = builder.model_validate(fields)
    except ValidationError:
        return None
    return {**fields, "seclang": ""} if acts_alike(links[0], rule) else None


def acts_alike(link: Link, rule: Built) -> bool:
    """What `built` takes over as it stands needs no look: only what the fields' own checks may have changed."""
    same = link_of(rule)
    kept = ("t", "tag", "msg")
    return (link.targets, link.argument) == (same.targets, same.argument) and all(
        [value for value in link.values(name) if value != "none"]
        == [value for value in same.values(name) if value != "none"]
        for name in kept
    )


def _listed(links: Sequence[Link]) -> dict[str, Any]:
    """What lists, ids and tags of a rule in SecLang are."""
    (first, *_) = links
    late = "".join(first.values("phase")) != "1"
    return {
        **UNREAD,
        "rule_id": int("".join(first.values("id"))),
        "name": _name("".join(first.values("msg")), "".join(first.values("id"))),
        "phase": RulePhase.REQUEST_BODY if late else RulePhase.REQUEST_HEADERS,
        "action": _action(links),
        "tags": [tag for tag in dict.fromkeys(first.values("tag")) if is_tag(tag)][:20],
    }


def _name(message: str, rule_id: str) -> str:
    try:
        return plain_name(re.sub(r"[\s'\"]+", " ", message)[:150])
    except ValueError:
        return f"Rule {rule_id}"


def _action(links: Sequence[Link]) -> CustomAction:
    if links[0].has("deny"):
        return CustomAction.BLOCK
    if links[0].has("allow"):
        return CustomAction.ALLOW
    adds = any("bound_anomaly_score_pl" in value.lower() for link in links for value in link.values("setvar"))
    return CustomAction.SCORE if adds else CustomAction.LOG
