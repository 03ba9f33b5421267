"""`make crs`: the whole suite on each HAProxy; what came of it into docs/fidelity.md."""

import argparse
import collections
import re
import sys
import time
from pathlib import Path

from tests.crs.runner import Result, run, stack
from tests.crs.suite import stages
from tests.haproxies import VERSIONS, haproxy_binary
from tests.live.stack import ROOT

PAGE = ROOT / "docs" / "fidelity.md"
LISTED = re.compile(r"^\| (\d+-\d+) \|", re.MULTILINE)
MARK = "<!-- make crs writes what follows -->\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="make crs", description=__doc__)
    parser.add_argument("--only", default="", help="tests whose file or number begins so, without writing the page")
    parser.add_argument(
        "--compare", action="store_true", help="without writing the page: 1 if a test fails that it does not list"
    )
    given = parser.parse_args()
    only = given.only
    chosen = [stage for stage in stages() if stage.test.startswith(only) or stage.file.startswith(only)]
    results = {}
    for version in VERSIONS:
        began = time.monotonic()
        with stack(haproxy_binary(version)) as running:
            results[version] = run(running, chosen)
        failed = failures(results[version])
        sys.stdout.write(f"HAProxy {version}: {share(results[version])} ({time.monotonic() - began:.0f} s)\n")
        for test, (_, why) in failed.items() if only else ():
            sys.stdout.write(f"    {test}: {why}\n")
    if given.compare:
        new = {test for result in results.values() for test in failures(result)} - known()
        sys.exit(f"fail, and docs/fidelity.md does not list them: {', '.join(sorted(new))}" if new else 0)
    if not only:
        write(results)
    sys.exit(0 if all(results.values()) else 1)


def failures(results: list[Result]) -> dict[str, tuple[str, str]]:
    """Rule file and cause by test."""
    return {result.stage.test: (result.stage.file, result.cause) for result in results if result.cause}


def known() -> frozenset[str]:
    """The tests that the page says fail, on one HAProxy or the other."""
    return frozenset(LISTED.findall(PAGE.read_text()))


def share(results: list[Result]) -> str:
    tests, failed = len({result.stage.test for result in results}), len(failures(results))
    return f"{tests - failed:,} of {tests:,} ({(tests - failed) / tests:.2%})"


def write(results: dict[str, list[Result]]) -> None:
    head = PAGE.read_text().partition(MARK)[0]
    PAGE.write_text(
        head + MARK + "\n" + "\n\n".join([totals(results), causes(results), by_file(results), every(results)]) + "\n"
    )


def totals(results: dict[str, list[Result]]) -> str:
    lines = [f"| {version} | {share(outcomes)} |" for version, outcomes in results.items()]
    return "\n".join(["| HAProxy | tests that pass |", "|---|---|", *lines])


def causes(results: dict[str, list[Result]]) -> str:
    counted = {
        version: collections.Counter(why for _, why in failures(outcomes).values())
        for version, outcomes in results.items()
    }
    names = sorted(set().union(*counted.values()))
    lines = [f"| {name} | {' | '.join(str(counted[version][name]) for version in results)} |" for name in names]
    return "\n".join([f"| cause | {' | '.join(results)} |", "|---|" + "--:|" * len(results), *lines])


def by_file(results: dict[str, list[Result]]) -> str:
    """Passed of all, by file of tests."""
    files: dict[str, dict[str, str]] = collections.defaultdict(dict)
    for version, outcomes in results.items():
        tests = collections.defaultdict(set)
        for result in outcomes:
            tests[result.stage.file].add(result.stage.test)
        failed = collections.Counter(file for file, _ in failures(outcomes).values())
        for file, names in tests.items():
            files[file][version] = f"{len(names) - failed[file]}/{len(names)}"
    whole = [
        file for file, shares in files.items() if all(len(set(share.split("/"))) == 1 for share in shares.values())
    ]
    lines = [f"| {file} | {' | '.join(files[file].values())} |" for file in files if file not in whole]
    table = "\n".join([f"| file | {' | '.join(results)} |", "|---|" + "--:|" * len(results), *lines])
    rest = ", ".join(f"{Path(file).stem} ({next(iter(files[file].values())).split('/')[1]})" for file in whole)
    return f"## By file\n\n{table}\n\nAll tests pass on both in the other {len(whole)} files (tests): {rest}."


def every(results: dict[str, list[Result]]) -> str:
    failed = {version: failures(result) for version, result in results.items()}
    tests = sorted(set().union(*failed.values()), key=lambda test: [int(part) for part in test.split("-")])
    lines = [f"| {test} | {' | '.join(failed[v].get(test, ('', 'passes'))[1] for v in results)} |" for test in tests]
    return "\n".join(
        ["## Every test that fails\n", f"| test | {' | '.join(results)} |", "|---|" + "---|" * len(results), *lines]
    )


if __name__ == "__main__":
    main()
