"""What visitors met, judged by what was saved: pure, so that it can be shown to complain.

A revision is known by its checksum, which every answer carries. Those that differ in policies alone share one. `Expected` holds what each one must do; the report (made by
visitors/) holds how often which answer was met, what decided the first answer of each connection, and where one connection went
from one revision to another.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

BLOCKING = 5
"The inbound threshold that the visitors' attack (one critical rule) reaches; all others that are used are far above it."


@dataclass(frozen=True)
class Policy:
    mode: str
    threshold: int
    outbound: int


@dataclass(frozen=True)
class Host:
    """One server, by its port. `mode` None is the policy's. A weight is what tells two revisions with the same servers apart."""

    server: int
    weight: int
    policy: int
    mode: str | None


@dataclass(frozen=True)
class State:
    """What one revision makes of every host."""

    hosts: Mapping[str, Host]
    policies: Mapping[int, Policy]

    def mode(self, host: Host) -> str:
        return host.mode or self.policies[host.policy].mode

    def rules(self, host: Host) -> tuple[object, ...] | None:
        """What makes its application: equal rules, equal application, whose policy it may be. None where nobody is asked."""
        mode, policy = self.mode(host), self.policies[host.policy]
        return None if mode == "off" else (mode, policy.threshold, policy.outbound)

    def frame(self) -> dict[str, tuple[int, int]]:
        """What HAProxy reads when it starts. An old worker learns all else (engines/runtime/old_workers.py)."""
        return {name: (host.server, host.weight) for name, host in self.hosts.items()}

    def rendered(self) -> dict[str, tuple[Host, object]]:
        """What a revision is made of: not of policies that nobody has, or only hosts that are not looked at."""
        return {name: (host, self.rules(host)) for name, host in self.hosts.items()}

    def answer(self, name: str, kind: str) -> tuple[int, str]:
        """Status, and the server that gives it."""
        host = self.hosts.get(name)
        if host is None:
            return 421, ""
        blocks = self.mode(host) == "block" and self.policies[host.policy].threshold <= BLOCKING
        return (403, "") if blocks and kind.endswith("attack") else (200, str(host.server))


@dataclass
class Expected:
    """The saves in the order in which they were acknowledged."""

    saves: int = 0
    first: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    "By checksum: the saves between which it was live."
    states: dict[str, list[State]] = field(default_factory=dict)

    def live(self, checksum: str, state: State) -> None:
        self.first.setdefault(checksum, self.saves)
        self.last[checksum] = self.saves
        self.states.setdefault(checksum, []).append(state)
        self.saves += 1

    def meanings(self, checksum: str) -> list[State]:
        """What a worker that reports this checksum may decide by: its states, and later ones that differ in policies alone."""
        own = self.states.get(checksum, [])
        later = [states for other, states in self.states.items() if own and self.first[other] > self.first[checksum]]
        return [*own, *(state for states in later for state in states if state.frame() == own[-1].frame())]

    def was_live(self, state: State) -> bool:
        return any(state.rendered() == other.rendered() for states in self.states.values() for other in states)


def complaints(report: Mapping[str, Any], expected: Expected) -> list[str]:
    """One sentence for each kind of thing that must not be; none: every request was answered by one whole revision."""
    return [
        *lost(report),
        *wrong_answers(report, expected),
        *mixed_rules(report, expected),
        *backwards(report, expected),
    ]


def lost(report: Mapping[str, Any]) -> Iterator[str]:
    kinds = Counter((loss["Cause"], loss["Fleet"], "a used" if loss["Answers"] else "a new") for loss in report["Lost"])
    for (cause, fleet, connection), count in kinds.items():
        yield f"{count} × lost on {connection} connection of {fleet}: {cause}"


def wrong_answers(report: Mapping[str, Any], expected: Expected) -> Iterator[str]:
    for met, count in counted(report["Met"]):
        states = expected.meanings(met["Checksum"])
        wanted = [state.answer(met["Host"], met["Kind"]) for state in states]
        if not states:
            yield f"{count} × decided by {met['Checksum'] or 'nobody'}, which was never saved: {met}"
        elif (met["Status"], met["Server"]) not in wanted:
            yield f"{count} × {met['Status']} of server {met['Server'] or '-'} instead of {wanted[0]}: {met}"


def mixed_rules(report: Mapping[str, Any], expected: Expected) -> Iterator[str]:
    """Each application stands for the rules of one state of policies, and for no other. What only one state can have meant is
    told first."""
    by_rules: dict[object, str] = {}
    by_name: dict[str, object] = {}
    judged = [(met, count, rules_of(met, expected)) for met, count in counted(report["Met"])]
    for met, count, possible in sorted(judged, key=lambda entry: len(entry[2])):
        name = met["Application"]
        agreeing = [rules for rules in possible if fits(rules, name, by_rules, by_name)]
        if possible == [None] and not agreeing:
            yield f"{count} × judged by {name} although the mode is off: {met}"
        elif possible and not agreeing:
            yield f"{count} × judged by {name}, which is not of these rules ({by_rules.get(possible[0])} is): {met}"
        elif len(agreeing) == 1 and agreeing[0] is not None:
            by_rules[agreeing[0]], by_name[name] = name, agreeing[0]


def rules_of(met: Mapping[str, Any], expected: Expected) -> list[object]:
    """The rules that may have judged it, of states that also give its answer. None: nobody was asked."""
    states = [state for state in expected.meanings(met["Checksum"]) if met["Host"] in state.hosts]
    answering = [state for state in states if state.answer(met["Host"], met["Kind"]) == (met["Status"], met["Server"])]
    return list(dict.fromkeys(state.rules(state.hosts[met["Host"]]) for state in answering or states))


def fits(rules: object, name: str, by_rules: Mapping[object, str], by_name: Mapping[str, object]) -> bool:
    if rules is None:
        return bool(name == "-")
    return bool(by_rules.get(rules, name) == name and by_name.get(name, rules) == rules and name != "-")


def backwards(report: Mapping[str, Any], expected: Expected) -> Iterator[str]:
    for first, count in counted(report["Firsts"]):
        place = expected.last.get(first["Checksum"])
        if place is None or place < first["AtLeast"]:
            yield f"{count} × a connection opened after save {first['AtLeast']} was decided by save {place}"
    for step, count in counted(report["Steps"]):
        if expected.first.get(step["After"], -1) < expected.first.get(step["Before"], -1):
            yield f"{count} × a connection went back from {step['Before'][:12]} to {step['After'][:12]}"


def counted(violations: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], int]]:
    for violation in violations:
        yield violation["What"], violation["Count"]
