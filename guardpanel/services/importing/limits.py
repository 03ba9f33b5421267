"""Rules by how much a client does: limits of a policy, which have one period."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from guardpanel.services.importing.acls import Rate
from guardpanel.services.importing.conditions import split_rule
from guardpanel.services.importing.hosts import Host, Values, refusal
from guardpanel.services.importing.outcomes import Line
from guardpanel.services.importing.proxies import Context
from guardpanel.services.importing.quantities import whole_seconds
from guardpanel.services.importing.reasons import refused_time
from guardpanel.services.importing.source import Section

POLICY = "Imported"

FIELDS = {
    "http_req_rate": "rate_limit_requests",
    "http_err_rate": "errors_per_period",
    "conn_cur": "requests_at_once",
}

PERIOD = "rate_limit_window_seconds"

NO_LIMITS: Values = {"rate_limit_requests": 1_000_000, "requests_at_once": 100_000}
"The most that these fields can have: a policy with limits has these."

FEWEST_AT_ONCE = 20
"A browser has as many requests in progress over one connection of HTTP/2."

NOT_ENFORCED = "enforced once its mode is Block"

BY_CLIENT = "It keeps visitors out. guardpanel counts by client IP alone."


class Table(NamedTuple):
    lines: Sequence[Line]
    "That count."
    period: int | None
    why_not: str = ""


@dataclass
class Limits:
    _by_name: dict[str, Values] = field(default_factory=dict)
    _tables: dict[tuple[int, str, str, str], Table] = field(default_factory=dict)
    "By the head of the section, and what is counted where."

    def policy(self, name: str) -> Values:
        usual = {"name": name, "description": "From haproxy.cfg.", "enforcement_mode": "detect_only"}
        return {**usual, **self._by_name.get(name, {})}

    def take(self, context: Context, section: Section, line: Line, host: Host, rates: Sequence[Rate]) -> None:
        """The rule of this line, by all of them or by none."""
        limits, lines = dict(self._by_name.get(host.policy, {})), [line]
        for rate in rates:
            table = self._table(context, section, rate)
            if why := table.why_not or _other_period(limits, table) or _set(limits, rate, table.period):
                host.close(line, why)
                return
            lines += table.lines
        limits = {**NO_LIMITS, "client_limits": True, **limits}
        host.policy = _name(limits)
        self._by_name[host.policy] = limits
        of_what = (
            ", by requests in progress instead of connections" if any(rate.what == "conn_cur" for rate in rates) else ""
        )
        for each in lines:
            host.became(each, f"client limits{of_what} ({NOT_ENFORCED})")

    def _table(self, context: Context, section: Section, rate: Rate) -> Table:
        key = section.head.number, rate.what, rate.counter, rate.table
        if key not in self._tables:
            self._tables[key] = _read(context, section, rate)
        return self._tables[key]


def _set(limits: Values, rate: Rate, period: int | None) -> str:
    """The lower one counts. Why not, or nothing."""
    name = FIELDS[rate.what]
    most = max(rate.limit, FEWEST_AT_ONCE) if rate.what == "conn_cur" else rate.limit
    own = {name: min(most, limits.get(name) or most), **({PERIOD: period} if period else {})}
    why_not = refusal("policy", {"client_limits": True, **own})
    limits.update({} if why_not else own)
    return why_not


def _other_period(limits: Values, table: Table) -> str:
    known = limits.get(PERIOD)
    is_other = table.period is not None and known not in {None, table.period}
    return f"It keeps visitors out. A policy has one period for all limits: here {known} s." if is_other else ""


def _name(limits: Values) -> str:
    parts = [
        (f"{limits['rate_limit_requests']} requests", limits["rate_limit_requests"] < NO_LIMITS["rate_limit_requests"]),
        (f"{limits.get('errors_per_period')} errors", "errors_per_period" in limits),
    ]
    in_period = " and ".join(text for text, is_set in parts if is_set)
    at_once = (
        f"{limits['requests_at_once']} at once" if limits["requests_at_once"] < NO_LIMITS["requests_at_once"] else ""
    )
    return ", ".join(filter(None, (POLICY, f"{in_period} in {limits[PERIOD]} s" if in_period else "", at_once)))


def _read(context: Context, section: Section, rate: Rate) -> Table:
    name, tracking = rate.table, None
    if rate.counter:
        tracking = _tracking(section, rate.counter)
        if tracking is None:
            return Table((), None, BY_CLIENT)
        name = name or _after(tracking, "table")
    owner = context.backend(name) or next((each for each in context.source.sections if each.name == name), None)
    owner = owner if name else section
    line = next((line for line in owner.lines if line.keyword == "stick-table"), None) if owner else None
    if line is None or _after(line, "type") not in {"ip", "ipv6"}:
        return Table((), None, BY_CLIENT)
    lines = [line, *([tracking] if tracking else [])]
    stored = re.search(rf"\b{rate.what}(?:\(([^)]*)\))?", " ".join(line.words))
    if stored is None or refused_time(line):
        return Table(
            (), None, f"It keeps visitors out. {refused_time(line) or f'Its table does not store {rate.what}.'}"
        )
    return Table(lines, whole_seconds(stored[1] or "") if rate.what != "conn_cur" else None)


def _tracking(section: Section, number: str) -> Line | None:
    """Of client addresses, always."""
    for line in section.lines:
        words, condition = split_rule(line.words)
        if f"track-sc{number}" in words and words[words.index(f"track-sc{number}") + 1 :][:1] == ("src",):
            return None if condition else line
    return None


def _after(line: Line, name: str) -> str:
    return line.words[line.words.index(name) + 1] if name in line.words[:-1] else ""
