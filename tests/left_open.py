"""What a test leaves open fails at most that test.

uvloop cannot close while a connection is open and warnings are errors: it waits for a handle whose closing its own warning
ended, or fails. anyio keeps that loop, and all async tests after it fail with "Event loop is closed". A failed assertion leaves
connections open in any case: its frames have them.
"""

import gc
import warnings
from collections.abc import Generator, Iterator

import pytest
import uvloop

left_open: list[str] = []
"In loops that have been closed since the last test's end."

failed: list[str] = []
"Tests of this process: what their frames had says nothing of others."


class Loop(uvloop.Loop):
    """It closes whatever is left in it."""

    def close(self) -> None:
        with warnings.catch_warnings(record=True) as left:
            warnings.simplefilter("always", ResourceWarning)
            if failed:
                gc.collect()
            try:
                super().close()
            except (OSError, RuntimeError) as error:  # what is left does not let itself be closed
                warnings.warn(str(error), ResourceWarning, stacklevel=1)
        left_open.extend(str(warning.message) for warning in left if not failed)


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, type[Loop]]]:
    """The event loop that the panel has, too."""
    return "asyncio", {"loop_factory": Loop}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Iterator[None]:
    yield
    left = left_open.copy()
    left_open.clear()
    assert not left, "left open by this test, or by one before in its module"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """From the first that fails, what is found open may be its: whichever test runs while garbage is collected."""
    report = yield
    if report.failed:
        failed.append(report.nodeid)
        item.config.addinivalue_line("filterwarnings", "ignore::ResourceWarning")
    return report
