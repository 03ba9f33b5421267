"""Rules that keep clients out: those by address become address lists, those by the rate of requests limits of a policy."""

import re
from dataclasses import dataclass, field

from guardpanel.models.access.address_list import MOST_HOSTS
from guardpanel.services.importing.hosts import Host, Values, refusal
from guardpanel.services.importing.limits import Limits
from guardpanel.services.importing.outcomes import Ledger, Line
from guardpanel.services.importing.proxies import Context
from guardpanel.services.importing.reaches import Reach, reaches_of
from guardpanel.services.importing.rules import Ruling
from guardpanel.services.importing.source import Section

TRACKS = re.compile(r"track-sc(?P<number>[0-2])")


def is_tracking(line: Line) -> bool:
    return any(TRACKS.fullmatch(word) for word in line.words[1:3])


@dataclass
class Access:
    """The address lists of an import, and the limits of its policies."""

    _lists: dict[tuple[int, Reach], list[Values]] = field(default_factory=dict)
    "By the rule's line. Several, since one has room for some hundred virtual hosts."
    _limits: Limits = field(default_factory=Limits)

    def policy(self, name: str) -> Values:
        return self._limits.policy(name)

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
        elif terms and all(term.rates for term in terms):
            self._limits.take(context, section, line, host, [rate for term in terms for rate in term.rates or ()])
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


def left_tracking(ledger: Ledger, line: Line) -> None:
    ledger.left(line, "No limit that guardpanel has is counted by it.")
