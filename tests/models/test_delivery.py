"""What may be said of a virtual host's delivery."""

from typing import Any

import pytest
from pydantic import ValidationError

from guardpanel.models.delivery.delivery import DeliveryColumns
from guardpanel.models.virtual_host import VirtualHostFields


def checked(**fields: Any) -> DeliveryColumns:
    return DeliveryColumns.model_validate(fields)


def test_origins_are_as_browsers_write_them() -> None:
    typed = "HTTPS://App.example:443/\nhttp://bücher.example:8080, http://[2001:DB8::1]:80"
    origins = ["https://app.example", "http://xn--bcher-kva.example:8080", "http://[2001:db8::1]"]

    assert checked(cors_origins=typed).cors_origins == origins
    assert checked(cors_origins=["*"]).cors_origins == ["*"]
    assert checked(cors_origins=["https://a.example:80", "http://a.example:443"]).cors_origins == [
        "https://a.example:80",
        "http://a.example:443",
    ]


@pytest.mark.parametrize(
    ("field", "fields", "words"),
    [
        ("cors_origins", {"cors_origins": "app.example"}, "start with https:// or http://"),
        ("cors_origins", {"cors_origins": "null"}, "start with https:// or http://"),
        ("cors_origins", {"cors_origins": "ftp://app.example"}, "start with https:// or http://"),
        ("cors_origins", {"cors_origins": "https://*.app.example"}, "without wildcards"),
        ("cors_origins", {"cors_origins": "https://app.example/path"}, "scheme, hostname and port alone"),
        ("cors_origins", {"cors_origins": "https://me@app.example"}, "scheme, hostname and port alone"),
        ("cors_origins", {"cors_origins": "https://app.example:0"}, "between 1 and 65535"),
        ("cors_origins", {"cors_origins": "*\nhttps://app.example"}, "* allows any origin"),
        ("cors_origins", {"cors_origins": [f"https://a{n}.example" for n in range(51)]}, "50"),
        ("cors_methods", {"cors_methods": "GET PUT"}, "is not an HTTP method"),
        ("cors_headers", {"cors_headers": "X Token"}, "is not a header name"),
        ("cors_credentials", {"cors_origins": "*", "cors_credentials": True}, "name the allowed origins"),
        ("cors_max_age", {"cors_max_age": 86_401}, "86400"),
        ("server_host", {"server_host": "https://app.internal"}, "Enter a hostname or address"),
        ("server_host", {"server_host": "app.internal:0"}, "between 1 and 65535"),
        ("server_host", {"server_host": "*.internal"}, "Enter a hostname or address"),
        ("connect_timeout", {"connect_timeout": 0}, "1"),
        ("server_timeout", {"server_timeout": 3_601}, "3600"),
        ("queue_timeout", {"queue_timeout": 0}, "1"),
        ("tunnel_timeout", {"tunnel_timeout": "1 h"}, "Enter a whole number."),
        ("retries", {"retries": 11}, "10"),
        ("compression_types", {"compression_types": "text/*"}, "is not a content type"),
        ("compression_types", {"compression_types": "css"}, "is not a content type"),
        (
            "compression_types",
            {"compression": True, "compression_types": ""},
            "Enter a content type, or turn compression off.",
        ),
        ("security_headers", {"security_headers": "strict"}, "always"),
        ("upgrades", {"upgrades": "tcp\nh2c"}, "h2c: Requests after a switch"),
        ("upgrades", {"upgrades": "H2C"}, "would not be inspected"),
        ("upgrades", {"upgrades": "TLS/1.2"}, "Use HTTPS"),
        ("upgrades", {"upgrades": "HTTP/2.0"}, "would not be inspected"),
        ("upgrades", {"upgrades": "WebSocket"}, "passes without it"),
        ("upgrades", {"upgrades": "a b"}, "is not a protocol name"),
        ("upgrades", {"upgrades": ["tcp, h2c"]}, "is not a protocol name"),
        ("upgrades", {"upgrades": [f"p{n}" for n in range(21)]}, "20"),
        ("sticky_sessions", {"sticky_sessions": "ip"}, "cookie"),
        ("server_protocol", {"server_protocol": "h3"}, "http2"),
        ("sticky_cookie", {"sticky_cookie": "a=b"}, "letters, digits, - and _"),
        ("sticky_cookie", {"sticky_cookie": ""}, "letters, digits, - and _"),
        ("sticky_cookie", {"sticky_cookie": "$Version"}, "letters, digits, - and _"),
        ("sticky_same_site", {"sticky_same_site": "any"}, "strict"),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_field(field: str, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        checked(**fields)

    (error,) = refused.value.errors()
    assert error["loc"] == (field,)
    assert words in error["msg"]


def test_the_case_of_an_upgrade_token_means_nothing() -> None:
    assert checked(upgrades="SPDY/3.1\ntcp\nspdy/3.1").upgrades == ["SPDY/3.1", "tcp"]


@pytest.mark.parametrize(("field", "value"), [("sticky_cookie", "__Host-app"), ("sticky_same_site", "none")])
def test_what_browsers_keep_over_https_alone_needs_it(field: str, value: str) -> None:
    host = {"hostnames": "shop.example", "servers": [{"address": "192.0.2.1:80"}], field: value}

    assert getattr(VirtualHostFields.model_validate({**host, "https": True}), field) == value
    with pytest.raises(ValidationError) as refused:
        VirtualHostFields.model_validate(host)

    (error,) = refused.value.errors()
    assert (error["loc"], "Turn on HTTPS" in error["msg"]) == ((field,), True)


def test_types_that_may_hold_secrets_are_named_while_they_are_compressed() -> None:
    typed = {"compression_types": "Text/HTML, text/css\napplication/json"}

    assert checked(compression=True, **typed).exposed_types == ["text/html", "application/json"]
    assert checked(**typed).exposed_types == []
    assert checked(compression=True).exposed_types == []
