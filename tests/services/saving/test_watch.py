"""What a page says was verified was verified: everybody has answered."""

from guardpanel.engines import Drift, Place
from guardpanel.services.saving.watch import Watch

DRIFT = (Drift(Place.HAPROXY, "It runs something else."),)


def test_a_look_without_all_engines_verifies_nothing() -> None:
    watch = Watch()

    watch.record((), all_answered=False)
    assert watch.checked_at is None

    watch.record(())
    assert watch.checked_at is not None


def test_drift_is_known_since_it_was_first_seen() -> None:
    watch = Watch()
    watch.record(DRIFT)
    since = watch.since

    watch.record(DRIFT)
    assert watch.since == since is not None
    watch.record(())
    assert watch.since is None
