"""The short forms of the sweeps: points by chance (GUARDPANEL_TEST_SEED for others), the planted faults, a full disk.

Each runs as a program of its own, since what forks panels must have neither threads nor an event loop. pytest-xdist begins by handing
each process two neighbors: of these, the first is long and the second makes up for it, so that all processes end together.
"""

import os
import subprocess
import sys

import pytest

from tests.crash.mutations import MUTATIONS
from tests.crash.outside import ROOT

SEED = os.environ.get("GUARDPANEL_TEST_SEED", "1")
LIMIT = 600

PAUSE_SECONDS = "0.2"
"Between two requests of a visitor: an inspected request takes as long as a tenth of a panel's start, and tests/load has many."

PLANTED = tuple(MUTATIONS) if "GUARDPANEL_TEST_ALL" in os.environ else ("half_settle", "early_answer", "forgotten_bans")
"""One that the engines show, one that the operator's answer shows, one that what needs no save shows. `make nightly` has the others, too: each takes an installation of
its own."""

of_the_sweeps = pytest.mark.test_of("tests/crash", "guardpanel/services", "guardpanel/engines", "guardpanel/ingest")


def swept(module: str, *arguments: str) -> tuple[int, str]:
    """Exit code and output. What a sweep found is in its last lines."""
    command = [sys.executable, "-m", f"tests.crash.{module}", "--seed", SEED, *arguments]
    environment = {**os.environ, "GUARDPANEL_TEST_PAUSE": PAUSE_SECONDS}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LIMIT, check=False
    )
    print(done.stdout)
    return done.returncode, f"{done.stdout}\n{done.stderr}"


def test_a_panel_that_is_killed_in_a_save_or_puts_one_back_leaves_everything_in_agreement() -> None:
    """Each phase on one HAProxy, to learn whose points takes a save; `make nightly` has all kinds in all phases on both."""
    phases = ("--phase", "save", "--phase", "roll_back")

    code, output = swept("sweep", "--haproxy", "2.6", "--sample", "5", *phases, "--kind", "route", "--kind", "policy")

    assert code == 0, output
    assert ": 0 divergences, 0 of " in output, output


def test_an_ingest_that_is_killed_again_and_again_loses_and_doubles_nothing() -> None:
    code, output = swept("event_kills", "--kills", "6", "--events", "9000")

    assert code == 0, output
    assert " 0 faults" in output, output


def test_a_panel_that_is_killed_while_it_swaps_starts_or_tidies_leaves_everything_in_agreement() -> None:
    phases = ("--phase", "save", "--phase", "start", "--phase", "tidy")

    code, output = swept("sweep", "--haproxy", "2.8", "--sample", "5", *phases, "--kind", "swap")

    assert code == 0, output
    assert ": 0 divergences, 0 of " in output, output


def test_a_panel_that_is_killed_while_bans_entries_and_feeds_arrive_loses_and_doubles_none() -> None:
    """The database, bans.map, the lists' files, the maps in HAProxy and what clients get agree."""
    phases = ("--phase", "save", "--phase", "start")
    kinds = ("--kind", "ban", "--kind", "entries", "--kind", "feed")

    code, output = swept("sweep", "--haproxy", "2.6", "--sample", "7", *phases, *kinds)

    assert code == 0, output
    assert ": 0 divergences, 0 of " in output, output


def test_a_panel_that_is_killed_in_an_order_ends_it_with_the_same_key_and_orders_nothing_twice() -> None:
    """First orders; the planted fault is in a renewal. `make nightly` has all kinds."""
    code, output = swept("order_kills", "--kind", "issue", "--sample", "3")

    assert code == 0, output
    assert ": 0 divergences, 0 unclear ends, 0 of " in output, output
    assert "seen: planted" in output, output


def test_a_disk_that_fails_in_an_order_is_reported_and_orders_nothing_twice() -> None:
    """Renewals; `make nightly` has all kinds."""
    code, output = swept("order_faults", "--kind", "renew", "--sample", "3")

    assert code == 0, output
    assert ": 0 divergences, 0 unclear ends, 0 of " in output, output
    assert "seen: planted" in output, output


def test_an_engine_that_is_killed_in_a_save_is_back_with_what_the_operator_was_told() -> None:
    code, output = swept("engine_kills", "--sample", "4", "--kind", "route", "--kind", "policy")

    assert code == 0, output
    assert ": 0 divergences, 0 unclear ends, 0 of " in output, output


def test_a_failing_disk_is_reported_and_harmless() -> None:
    code, output = swept("faults", "--sample", "6", "--kind", "route", "--kind", "policy", "--kind", "swap")

    assert code == 0, output
    assert ": 0 divergences, 0 unclear ends, 0 of " in output, output


def test_a_full_disk_is_reported_and_harmless() -> None:
    code, output = swept("full_disk", "--rounds", "1")

    assert code == 0, output
    assert ": 0 divergences, 0 unclear ends, 0 of " in output, output


@of_the_sweeps
@pytest.mark.parametrize("mutation", PLANTED)
def test_a_promise_that_is_taken_away_is_missed(mutation: str) -> None:
    """Otherwise 0 divergences would only say that nobody looks."""
    points = ("--point", "openat data directory #1", "--point", "fdatasync guardpanel.db-wal #1")
    if mutation == "forgotten_bans":
        points = ("--kind", "ban", "--point", "unlink .bans.map-N-N #1")
    if mutation == "forgotten_feeds":
        points = ("--kind", "feed", "--point", "unlink feeds/.N.map-N-N #1")
    if mutation == "old_keys":
        points = ("--kind", "swap", "--point", "openat data directory #1")

    code, output = swept("sweep", "--haproxy", "2.8", "--passes", "1", "--mutation", mutation, *points)

    assert code == 1, output
    assert "DIVERGED" in output, output


@of_the_sweeps
def test_events_that_are_stored_apart_from_their_places_are_found_doubled_or_lost() -> None:
    code, output = swept("event_kills", "--kills", "1", "--events", "3000", "--mutation", "place first")

    assert code == 1, output
    assert "FAULT " in output, output
