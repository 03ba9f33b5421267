"""A part of `make crs`: what passes there passes here."""

import pytest

from tests.crs.__main__ import failures, known
from tests.crs.runner import run, stack
from tests.crs.suite import stages

pytestmark = pytest.mark.one_haproxy

EVERY = 31
"One test in so many, and all that look at answers."


def test_the_rule_sets_own_tests_pass_through_the_whole_stack(haproxy: str) -> None:
    some = [stage for at, stage in enumerate(stages()) if at % EVERY == 0 or stage.file.startswith("RESPONSE-95")]
    assert len(some) > 200

    with stack(haproxy) as running:
        failed = failures(run(running, some, at_once=2))

    assert not {test: why for test, why in failed.items() if test not in known()}
