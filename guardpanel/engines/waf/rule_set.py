"""The rule set that the WAF agent has loaded (spoa/README.md, `GET /v1/rules`), cached until it changes."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from guardpanel.engines import http
from guardpanel.errors import EngineUnavailable

PATIENCE_SECONDS = 5.0
"Seconds. The agent reads the rule set on the first query."


class RuleRole(StrEnum):
    DETECT = "detect"
    EVALUATE = "evaluate"
    REPORT = "report"
    SKIP = "skip"
    PREPARE = "prepare"


@dataclass(frozen=True)
class Link:
    """A link of a rule: an operator on targets, as written in SecLang. A SecAction has neither."""

    operator: str
    "Its name: `rx`. Empty for a SecAction."
    argument: str
    negated: bool
    targets: tuple[str, ...]
    transformations: tuple[str, ...]
    phrases: tuple[str, ...] = ()
    "Of the list that it compares with. Long ones are cut."
    phrase_count: int = 0
    "Of the whole list."


@dataclass(frozen=True)
class Rule:
    """A rule before any application changes it."""

    id: int
    file: str
    line: int
    phase: int
    severity: str
    "Coraza's name for it, or `unknown`."
    tags: tuple[str, ...]
    paranoia_level: int | None
    "None: active at every level."
    message: str
    role: RuleRole
    points: int
    "Points that each matching value adds to the score."
    is_outbound: bool
    "Whether they count towards the response's score."
    seclang: str
    links: tuple[Link, ...]
    "The rule's own, and its chain's."

    @property
    def family(self) -> int:
        """CRS rule families are thousands: 942."""
        return self.id // 1_000


@dataclass(frozen=True)
class RuleSet:
    etag: str
    coraza_version: str
    crs_version: str
    rules: Mapping[int, Rule]
    "By id, in the order in which they run."


async def ask_rule_set(control: Path, known: RuleSet | None) -> RuleSet:
    """The running agent's rule set. `known` if that is still current. Raises EngineUnavailable."""
    headers = {"host": "agent", **({"if-none-match": known.etag} if known else {})}
    answer = await http.ask(control, "GET", "/v1/rules", headers=headers, timeout=PATIENCE_SECONDS)
    if known is not None and answer.status == 304:
        return known
    if answer.status != 200:
        raise EngineUnavailable(f"The WAF agent returned {answer.status} when asked for its rules.")
    return await asyncio.to_thread(parse, answer.body, answer.headers.get("etag", ""))


def parse(body: bytes, etag: str) -> RuleSet:
    """Raises EngineUnavailable for anything but a rule set."""
    try:
        document = json.loads(body)
        rules = [_rule(each) for each in document["rules"]]
        return RuleSet(
            etag, str(document["coraza_version"]), str(document["crs_version"]), {rule.id: rule for rule in rules}
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineUnavailable("The WAF agent returned an unexpected response.") from error


def _rule(fields: Mapping[str, Any]) -> Rule:
    level = str(fields.get("paranoia_level", ""))
    return Rule(
        id=int(fields["id"]),
        file=fields["file"],
        line=fields["line"],
        phase=fields["phase"],
        severity=fields["severity"],
        tags=tuple(fields["tags"]),
        paranoia_level=int(level) if level.isdigit() else None,
        message=fields["message"],
        role=RuleRole(fields["role"]),
        points=fields["points"],
        is_outbound=fields.get("direction") == "outbound",
        seclang=fields["seclang"],
        links=tuple(_link(link) for link in (fields, *fields["chain"])),
    )


def _link(fields: Mapping[str, Any]) -> Link:
    written = str(fields["operator"])
    name, _, argument = written.removeprefix("!").removeprefix("@").partition(" ")
    return Link(
        name, argument, written.startswith("!"), tuple(fields["targets"]), tuple(fields["transformations"]),
        tuple(fields.get("phrases", ())), fields.get("phrase_count", 0),
    )  # fmt: skip
