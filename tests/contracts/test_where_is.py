"""docs/where-is.md leads to files that are there."""

import re

import pytest

from tests.panel import ROOT

TEXT = (ROOT / "docs" / "where-is.md").read_text("utf-8")
OUTSIDE = ("config_templates/", "spoa/", "tests/", "docs/", "tools/", "clients/")
PATHS = sorted(set(re.findall(r"`([a-z_][\w./-]*\.\w+)`", TEXT)))


def test_it_names_files() -> None:
    assert len(PATHS) > 60


@pytest.mark.parametrize("path", PATHS)
def test_a_path_is_true(path: str) -> None:
    assert (ROOT / (path if path.startswith(OUTSIDE) else f"guardpanel/{path}")).is_file()
