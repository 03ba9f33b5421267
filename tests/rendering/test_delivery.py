"""What is rendered of a virtual host's delivery beyond the cases."""

import re

import pytest

from guardpanel.models.delivery.delivery import DeliveryColumns
from guardpanel.rendering import DesiredState, render
from tests.rows import FACTS, rows

HOST = {"servers": [{"address": "192.0.2.1:80"}], "health_check": False}


def parts(**fields: object) -> tuple[str, str]:
    """The defaults, and the virtual host's section."""
    text = render(DesiredState.from_rows(rows({}, {"a.test": {**HOST, **fields}}), FACTS)).files["haproxy.cfg"].decode()
    return text.partition("\ndefaults\n")[2].partition("\n\n")[0], text.partition("\nbackend be_1\n")[2].partition(
        "\n\n"
    )[0]


@pytest.mark.parametrize(
    ("field", "line"),
    [
        ("connect_timeout", "timeout connect {}s"),
        ("queue_timeout", "timeout queue {}s"),
        ("server_timeout", "timeout server {}s"),
        ("tunnel_timeout", "timeout tunnel {}s"),
        ("retries", "retries {}"),
    ],
)
def test_what_is_as_in_the_defaults_is_not_repeated(field: str, line: str) -> None:
    usual = DeliveryColumns.model_fields[field].default
    defaults, section = parts()
    spelled = defaults.replace("1h", "3600s")
    assert line.format(usual) in spelled
    assert line.partition("{")[0] not in section

    assert f"    {line.format(usual + 1)}" in parts(**{field: usual + 1})[1].split("\n")


def test_a_sticky_cookie_is_secure_over_https_and_its_key_tells_nothing_of_the_secret() -> None:
    sticky = {"sticky_sessions": "cookie", "sticky_cookie": "app", "sticky_same_site": "strict"}
    section = parts(**sticky)[1]

    assert "    cookie app insert indirect nocache httponly attr SameSite=Strict dynamic\n" in section
    assert " httponly secure attr SameSite=Strict " in parts(**sticky, https=True)[1]
    key = section.partition("dynamic-cookie-key ")[2].split("\n")[0]
    assert re.fullmatch("[0-9a-f]{64}", key) and FACTS.secret not in section
    assert "cookie" not in parts()[1]


def test_health_checks_have_the_servers_host_unless_they_have_one_of_their_own() -> None:
    checked = {"health_check": True, "server_host": "app.internal:8080"}

    assert "hdr host 'app.internal:8080'" in parts(**checked)[1]
    assert "hdr host 'up.test'" in parts(**checked, health_check_host="up.test")[1]
