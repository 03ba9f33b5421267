"""docs/configuration.md is what the settings say, and a variable that nothing reads is noticed."""

from pathlib import Path

import pytest

from guardpanel.cli.variables import described, unknown_variables
from guardpanel.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_made_from_the_settings() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text() == described(), "run `make docs`"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_variable_is_described(name: str) -> None:
    assert Settings.model_fields[name].description
    assert f"`GUARDPANEL_{name.upper()}`" in described()


def test_a_misspelt_variable_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDPANEL_DATADIR", "/x")
    monkeypatch.setenv("GUARDPANEL_LISTEN", "127.0.0.1:1")

    assert unknown_variables() == ["GUARDPANEL_DATADIR"]
