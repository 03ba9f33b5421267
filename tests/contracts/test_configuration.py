"""docs/configuration.md is what the settings say, and a variable that nothing reads is noticed."""

import re
from pathlib import Path

import pytest
import yaml

from guardpanel.cli import command_docs
from guardpanel.cli.variables import described, unknown_variables
from guardpanel.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_made_from_the_settings() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text() == described(), "run `make docs`"


def test_what_is_shipped_serves_visitors_over_both_schemes() -> None:
    """And redirects to the port that they use: the listener's own."""
    texts = {name: (ROOT / name).read_text() for name in ("Dockerfile", "deploy/systemd/guardpanel.service")}
    binds = {name: dict(re.findall(r"GUARDPANEL_(HTTPS?_BIND)=([\d.:]+)", text)) for name, text in texts.items()}
    compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())["services"]["guardpanel"]
    own = compose["environment"]["GUARDPANEL_HTTPS_BIND"]

    assert binds["Dockerfile"] == {"HTTP_BIND": "0.0.0.0:8080", "HTTPS_BIND": "0.0.0.0:8443"}
    assert "EXPOSE 8000 8080 8443 8443/udp\n" in texts["Dockerfile"]
    assert binds["deploy/systemd/guardpanel.service"] == {"HTTP_BIND": "0.0.0.0:80", "HTTPS_BIND": "0.0.0.0:443"}
    assert (own, compose["ports"][:3]) == ("0.0.0.0:443", ["80:8080", "443:443", "443:443/udp"])
    assert compose["sysctls"] == {"net.ipv4.ip_unprivileged_port_start": 0}


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_variable_is_described(name: str) -> None:
    assert Settings.model_fields[name].description
    assert f"`GUARDPANEL_{name.upper()}`" in described()


def test_a_misspelt_variable_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDPANEL_DATADIR", "/x")
    monkeypatch.setenv("GUARDPANEL_LISTEN", "127.0.0.1:1")

    assert unknown_variables() == ["GUARDPANEL_DATADIR"]


def test_the_page_of_commands_is_that_of_the_code() -> None:
    assert (ROOT / "docs" / "cli.md").read_text() == command_docs.described(), "run `make docs`"
