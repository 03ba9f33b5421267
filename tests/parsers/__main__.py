"""`make parsers`: does any parser hand an application a value that the WAF agent neither inspected nor refused?"""

import argparse
import concurrent.futures
import functools
import sys
import time

from tests.parsers.bodies import body
from tests.parsers.lab import lab
from tests.parsers.reduce import reduced
from tests.parsers.report import Outcome, report, write

AT_ONCE = 2
"""Labs; each has an agent and every parser for itself."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="make parsers", description=__doc__)
    parser.add_argument("--bodies", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="one body, by its number, and all that is read of it")
    parser.add_argument("--write", action="store_true", help="the figures, into docs/fidelity.md")
    given = parser.parse_args()
    if given.only is not None:
        return explain(given.seed, given.only)
    began = time.monotonic()
    findings = outcomes(given.seed, given.bodies)
    print(f"seed {given.seed}, {time.monotonic() - began:.0f} s\n\n{report(findings)}")
    if given.write:
        write(given.seed, findings)
    sys.exit(any(outcome.findings for outcome in findings))


def outcomes(seed: int, bodies: int) -> list[Outcome]:
    shares = [range(at, bodies, AT_ONCE) for at in range(AT_ONCE)]
    with concurrent.futures.ProcessPoolExecutor(AT_ONCE) as pool:
        results = [outcome for share in pool.map(functools.partial(work, seed), shares) for outcome in share]
    return sorted(results, key=lambda outcome: outcome.number)


def work(seed: int, numbers: range) -> list[Outcome]:
    with lab() as running:
        return [running.outcome(number, body(seed, number)) for number in numbers]


def explain(seed: int, number: int) -> None:
    """What everybody makes of one body; and where it is a finding, the shortest that still is one."""
    made = body(seed, number)
    with lab() as running:
        judged, handed = running.judged(made)
        print(made.kind, made, "", *handed, "", judged, sep="\n")
        if findings := running.findings(made):
            readers = {value.reader for value in findings}
            shortest = reduced(made, lambda sent: any(value.reader in readers for value in running.findings(sent)))
            print("", *findings, "", "The shortest:", shortest, *running.findings(shortest), sep="\n")


if __name__ == "__main__":
    main()
