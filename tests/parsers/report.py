"""What came of many bodies, in a table; and on the page about fidelity."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.parsers.body import Body, Value

PAGE = Path(__file__).resolve().parents[2] / "docs" / "fidelity.md"
BETWEEN = re.compile(r"(<!-- make parsers writes this -->\n).*?(<!-- until here -->\n)", re.DOTALL)


@dataclass(frozen=True)
class Outcome:
    """Of one body."""

    number: int
    body: Body
    refused: bool
    """By the agent, for how it is written."""
    handed: tuple[tuple[str, int], ...]
    """How many values each reader handed out."""
    findings: tuple[Value, ...]
    """Those of them that no rule saw, where the body was not refused."""


def report(outcomes: Sequence[Outcome]) -> str:
    lines = [
        f"body {outcome.number}: {outcome.body.kind}\n    {outcome.body}\n    {outcome.findings[0]}\n"
        for outcome in outcomes
        if outcome.findings
    ]
    return "\n".join([*lines, by_kind(outcomes), "", by_reader(outcomes)])


def by_kind(outcomes: Sequence[Outcome]) -> str:
    rows = ["| bodies | | refused | inspected | findings |", "|---|--:|--:|--:|--:|"]
    kinds = Counter(kind_of(outcome) for outcome in outcomes)
    for kind, number in [*sorted(kinds.items()), ("all", len(outcomes))]:
        these = [outcome for outcome in outcomes if kind in ("all", kind_of(outcome))]
        refused, findings = sum(outcome.refused for outcome in these), sum(bool(outcome.findings) for outcome in these)
        rows.append(f"| {kind} | {number:,} | {refused:,} | {number - refused - findings:,} | {findings:,} |")
    return "\n".join(rows)


def kind_of(outcome: Outcome) -> str:
    return re.split(r"\W", outcome.body.kind)[0]


def by_reader(outcomes: Sequence[Outcome]) -> str:
    all_of, passed = Counter[str](), Counter[str]()
    for outcome in outcomes:
        for reader, number in outcome.handed:
            all_of[reader] += number
            passed[reader] += 0 if outcome.refused else number
    rows = [f"| {reader} | {all_of[reader]:,} | {passed[reader]:,} |" for reader in sorted(all_of)]
    return "\n".join(["| parser | values handed out | of bodies that were not refused |", "|---|--:|--:|", *rows])


def write(seed: int, outcomes: Sequence[Outcome]) -> None:
    tables = f"Seed {seed}:\n\n{by_kind(outcomes)}\n\n{by_reader(outcomes)}\n"
    PAGE.write_text(BETWEEN.sub(lambda match: f"{match[1]}\n{tables}\n{match[2]}", PAGE.read_text()))
