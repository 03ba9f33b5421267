"""The short forms of the sweeps: points by chance (GUARDPANEL_TEST_SEED for others), the planted faults, a full disk.

Each runs as a program of its own, since what forks panels must have neither threads nor an event loop.
"""

import os
import subprocess
import sys

import pytest

from tests.crash.mutations import MUTATIONS
from tests.crash.outside import ROOT
from tests.haproxies import VERSIONS

SEED = os.environ.get("GUARDPANEL_TEST_SEED", "1")
LIMIT = 600

of_the_sweeps = pytest.mark.test_of("tests/crash", "guardpanel/services", "guardpanel/engines", "guardpanel/ingest")


def swept(module: str, *arguments: str) -> tuple[int, str]:
    """Exit code and output. What a sweep found is in its last lines."""
    command = [sys.executable, "-m", f"tests.crash.{module}", "--seed", SEED, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT, check=False)
    print(done.stdout)
    return done.returncode, f"{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_panel_that_is_killed_in_a_save_leaves_everything_in_agreement(version: str) -> None:
    other = "policy" if version == "2.6" else "swap"

    code, output = swept("sweep", "--haproxy", version, "--sample", "12", "--kind", "route", "--kind", other)

    assert code == 0, output
    assert ": 0 divergences, 0 of " in output, output


@of_the_sweeps
@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_promise_that_is_taken_away_is_missed(mutation: str) -> None:
    """Otherwise 0 divergences would only say that nobody looks."""
    points = ("--point", "openat data directory #1", "--point", "fdatasync guardpanel.db-wal #1")
    if mutation == "old_keys":
        points = ("--kind", "swap", "--point", "openat data directory #1")

    code, output = swept("sweep", "--haproxy", "2.8", "--passes", "1", "--mutation", mutation, *points)

    assert code == 1, output
    assert "DIVERGED" in output, output


def test_an_engine_that_is_killed_in_a_save_is_back_with_what_the_operator_was_told() -> None:
    code, output = swept("engine_kills", "--sample", "8", "--kind", "route", "--kind", "policy")

    assert code == 0, output
    assert ": 0 divergences, 0 unclear ends, 0 of " in output, output


def test_an_ingest_that_is_killed_again_and_again_loses_and_doubles_nothing() -> None:
    code, output = swept("event_kills", "--kills", "6", "--events", "9000")

    assert code == 0, output
    assert " 0 faults" in output, output


@of_the_sweeps
def test_events_that_are_stored_apart_from_their_places_are_found_doubled_or_lost() -> None:
    code, output = swept("event_kills", "--kills", "1", "--events", "3000", "--mutation", "place first")

    assert code == 1, output
    assert "FAULT " in output, output


def test_a_failing_disk_is_reported_and_harmless() -> None:
    code, output = swept("faults", "--sample", "18", "--kind", "route", "--kind", "policy", "--kind", "swap")

    assert code == 0, output
    assert ": 0 divergences, 0 unclear ends, 0 of " in output, output


def test_a_full_disk_is_reported_and_harmless() -> None:
    code, output = swept("full_disk", "--rounds", "1")

    assert code == 0, output
    assert ": 0 divergences, 0 unclear ends, 0 of " in output, output
