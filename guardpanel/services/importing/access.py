"""Rules that keep clients out: those by address become address lists, those by the rate of requests limits of a policy."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from guardpanel.models.access.address_list import MOST_HOSTS
from guardpanel.services.importing.conditions import split_rule
from guardpanel.services.importing.hosts import Host, Values, refusal
from guardpanel.services.importing.outcomes import Ledger, Line, named
from guardpanel.services.importing.proxies import Context
from guardpanel.services.importing.quantities import whole_seconds
from guardpanel.services.importing.reaches import Reach, reaches_of
from guardpanel.services.importing.rules import Ruling
from guardpanel.services.importing.source import Section

TRACKS = re.compile(r"track-sc(?P<number>[0-2])")

RATE = re.compile(r"http_req_rate\((?P<period>[0-9a-z]+)\)")

POLICY = "Imported"

NO_LIMIT = 100_000

_Table = tuple[Sequence[Line], int]

NOT_ENFORCED = "enforced once its mode is Block"


def is_tracking(line: Line) -> bool:
    return any(TRACKS.fullmatch(word) for word in line.words[1:3])


@dataclass
class Access:
    """The address lists and policies of an import."""

    _lists: dict[tuple[int, Reach], list[Values]] = field(default_factory=dict)
    "By the rule's line. Several, since one has room for some hundred virtual hosts."
    policies: dict[str, Values] = field(default_factory=dict)
    _tables: dict[tuple[int, str], "_Table | None"] = field(default_factory=dict)
    "By the head of the section, and the counter."

    @property
    def lists(self) -> list[Values]:
        """Those of one line have numbers."""
        by_line: dict[int, list[Values]] = {}
        for (number, _), lists in self._lists.items():
            by_line.setdefault(number, []).extend(lists)
        return [
            values if count == 1 else {**values, "name": f"{values['name']} ({count})"}
            for lists in by_line.values()
            for count, values in enumerate(lists, 1)
        ]

    def deny(self, context: Context, section: Section, ruling: Ruling, *, is_of_all: bool) -> None:
        """`is_of_all`: the section gets all requests of the virtual host or path."""
        line, row, host, condition = ruling.line, ruling.row, ruling.host, ruling.condition
        reaches, terms = reaches_of(condition), condition.single
        if row is not host:
            reaches = [each.at(row.values) for each in reaches if not each.paths]
        if reaches and not is_of_all:
            host.close(line, "It keeps visitors out of what these servers get, which is not all paths.")
        elif reaches:
            self._list(context, line, host, reaches)
        elif row is not host:
            host.close(line, f"It keeps visitors out of {row.where}.")
        elif terms and len(terms) == 1 and terms[0].rate is not None:
            self._limit(context, section, line, host, terms[0].rate)
        elif condition.is_always:
            host.close(line, "It refuses requests.")
        elif condition.paths:
            host.close(line, "It keeps visitors out of a path: write a custom rule.")
        else:
            host.close(line, f"It keeps visitors out. {condition.why_not}")

    def _list(self, context: Context, line: Line, host: Host, reaches: list[Reach]) -> None:
        if why := next(filter(None, (refusal("address_list", each.fields) for each in reaches)), ""):
            host.close(line, f"It keeps visitors out. {why}")
            return
        for reach in reaches:
            context.ledger.spend(len(reach.networks) // 16)
            lists = self._lists.setdefault((line.number, reach), [])
            if not lists or len(lists[-1]["virtual_hosts"]) == MOST_HOSTS:
                lists.append(reach.values(line))
            lists[-1]["virtual_hosts"].append(host.host)
            host.became(line, reach.outcome)
        if beginnings := list(dict.fromkeys(path for reach in reaches for path in reach.beginnings)):
            host.close(line, f"The list has {named(beginnings)} and what is below, but not {beginnings[0][:60]}.php.")

    def _limit(self, context: Context, section: Section, line: Line, host: Host, rate: tuple[str, int]) -> None:
        key = section.head.number, rate[0]
        if key not in self._tables:
            self._tables[key] = _table(context, section, rate[0])
        table = self._tables[key]
        if table is None:
            host.close(line, "It keeps visitors out. guardpanel counts requests by client IP alone.")
            return
        lines, period = table
        limit = {"client_limits": True, "rate_limit_requests": rate[1], "rate_limit_window_seconds": period}
        if why := refusal("policy", limit):
            host.close(line, why)
            return
        name = f"{POLICY}, {rate[1]} requests in {period} s"
        self.policies[name] = {**policy(name), **limit, "requests_at_once": NO_LIMIT}
        host.policy = name
        for each in (line, *lines):
            host.became(each, f"client limits ({NOT_ENFORCED})")


def policy(name: str) -> Values:
    return {"name": name, "description": "From haproxy.cfg.", "enforcement_mode": "detect_only"}


def _table(context: Context, section: Section, counter: str) -> _Table | None:
    """The lines that count clients' requests, and the period. None: something else is counted."""
    name, tracking = counter.removeprefix("table ").strip(), None
    if counter.startswith("sc"):
        tracking = _tracking(section, counter.removeprefix("sc"))
        if tracking is None:
            return None
        name = _after(tracking, "table")
    owner = context.backend(name) or next((each for each in context.source.sections if each.name == name), None)
    owner = owner if name else section
    table = next((line for line in owner.lines if line.keyword == "stick-table"), None) if owner else None
    rate = RATE.search(_after(table, "store")) if table else None
    period = whole_seconds(rate["period"]) if rate else None
    if table is None or period is None or _after(table, "type") not in {"ip", "ipv6"}:
        return None
    return [table, *([tracking] if tracking else [])], period


def _tracking(section: Section, number: str) -> Line | None:
    """Of client addresses, always."""
    for line in section.lines:
        words, condition = split_rule(line.words)
        if f"track-sc{number}" in words and words[words.index(f"track-sc{number}") + 1 :][:1] == ("src",):
            return None if condition else line
    return None


def _after(line: Line | None, name: str) -> str:
    words = line.words if line else ()
    return words[words.index(name) + 1] if name in words[:-1] else ""


def left_tracking(ledger: Ledger, line: Line) -> None:
    ledger.left(line, "No limit that guardpanel has is counted by it.")
