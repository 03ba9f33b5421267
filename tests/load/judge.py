"""What visitors met, judged by what was saved: pure, so that it can be shown to complain.

A revision is known by its checksum, which every answer carries. `Expected` holds what each one must do; the report (made by
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
    """One server, by its port. `mode` None is the policy's."""

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

    order: dict[str, int] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)

    def live(self, checksum: str, state: State) -> None:
        self.order[checksum] = len(self.order)
        self.states[checksum] = state

    def was_live(self, state: State) -> bool:
        return any(state.rendered() == other.rendered() for other in self.states.values())


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
        state = expected.states.get(met["Checksum"])
        if state is None:
            yield f"{count} × decided by {met['Checksum'] or 'nobody'}, which was never saved: {met}"
        elif state.answer(met["Host"], met["Kind"]) != (met["Status"], met["Server"]):
            wanted = state.answer(met["Host"], met["Kind"])
            yield f"{count} × {met['Status']} of server {met['Server'] or '-'} instead of {wanted}: {met}"


def mixed_rules(report: Mapping[str, Any], expected: Expected) -> Iterator[str]:
    """Each application stands for the rules of one state of policies, and for no other."""
    by_rules: dict[object, str] = {}
    by_name: dict[str, object] = {}
    for met, count in counted(report["Met"]):
        state = expected.states.get(met["Checksum"])
        host = state.hosts.get(met["Host"]) if state else None
        if state is None or host is None:
            continue
        rules, name = state.rules(host), met["Application"]
        if rules is None:
            if name != "-":
                yield f"{count} × judged by {name} although the mode is off: {met}"
        elif by_rules.setdefault(rules, name) != name or by_name.setdefault(name, rules) != rules:
            yield f"{count} × judged by {name}, which is not of these rules ({by_rules[rules]} is): {met}"


def backwards(report: Mapping[str, Any], expected: Expected) -> Iterator[str]:
    for first, count in counted(report["Firsts"]):
        if expected.order.get(first["Checksum"], -1) < first["AtLeast"]:
            place = expected.order.get(first["Checksum"])
            yield f"{count} × a connection opened after save {first['AtLeast']} was decided by save {place}"
    for step, count in counted(report["Steps"]):
        if expected.order.get(step["After"], -1) < expected.order.get(step["Before"], -1):
            yield f"{count} × a connection went back from {step['Before'][:12]} to {step['After'][:12]}"


def counted(violations: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], int]]:
    for violation in violations:
        yield violation["What"], violation["Count"]
