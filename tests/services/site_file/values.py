"""What each field of each noun can be. Most of it is read from the models: switches, choices, numbers within their limits, free texts.
A text with a form has its values here: `test_every_field.py` names a new field without any."""

from collections.abc import Sequence
from typing import Any

from guardpanel.models.meta import About, about
from guardpanel.models.noun import KEPT, Noun
from guardpanel.services.site_file.keys import DEFAULTS
from tests.certificates.made import full_chain, leaf, revoked, root
from tests.factories import A_LOGO

Row = dict[str, Any]

TEXTS = (
    "", "a: b", "# x", "- y", "'", '"', "no", "NO", "on", "null", "~", "1.0", "0x10", "12:30:45", "2026-12-31", "{a}", "[b", "*a", "&a", "!x",
    "|", ">", "%TAG", "\\", "\\n", "<<", "---", "...", "=", "?", "é “ü”", "😀", "two\nlines", "a\n\n  b\n\tc", "x" * 300, "a #b", "a:", KEPT,
)  # fmt: skip
"That YAML could take for something else."

NAMES = ("Strict", "No", "Null", "1.0", "é", "a - b", "Yes, no", "0x10")

PASSWORD = "correct horse"
UPLOADED = ("up.example", "*.up.example")
CHAIN, KEY = full_chain(*UPLOADED), leaf(*UPLOADED).key_pem
RULE = 'SecRule ARGS:q "@contains x" "id:9000001,phase:2,deny,msg:\'Mine: #1\'"'
HOST = ("no", "a.example", "1.0.example")

VALUES: dict[str, Sequence[Any]] = {
    "name": NAMES, "site_login.name": ("no", "é", "ada", "1.0"),
    "authority": ("https://ca.example/directory",), "other_authorities": ([], ["https://b.example/dir", "https://c.example/d"]),
    "staging_authority": ("", "https://ca.example/staging"), "contact": ("", "ada@example.org"), "names": (["a.example", "no.example"], ["*.b.example"]),
    "profile": ("", "no", "1.0"), "preferred_chain": ("", "No: Root #1"),
    "trusted_networks": (["10.0.0.0/8"], ["2001:db8::/32", "192.0.2.7"]), "health_networks": ([], ["192.0.2.0/24"]),
    "max_connections": (0, 10, 1000), "traffic.https_port": (0, 443), "client_ip_header": ("no", "x-edge"), "health_path": ("", "/no"),
    "listeners": ([], [{"address": "127.0.0.1:8080", "http2": True}, {"address": "127.0.0.1:8443", "scheme": "https"}],
                  [{"address": "127.0.0.1:8080", "proxy_protocol": "trusted", "proxy_networks": ["10.0.0.0/8"]}]),
    "login_paths": ([], ["/no", "/wp-login.php"]), "login_statuses": ([], ["401", "422"]), "error_statuses": ([], ["404", "410"]),
    "countries": (["NO", "DE"], []), "asns": ([], ["AS64500"]), "allowed_methods": (["GET"], ["NO", "PUT"]),
    "allowed_content_types": (["text/plain"], ["application/json", "image/png"]), "content_type_readings": ([], ["image/* = none"]),
    "allowed_charsets": (["koi8-r"], ["utf-8", "us-ascii"]), "allowed_http_versions": (["1.1", "2"], ["1.0"]), "restricted_headers": ([], ["no", "x-y"]),
    "restricted_extensions": ([], [".no", ".1"]), "skip_paths": ([], [".css", "/no/"]), "masked_fields": ([], ["no", "pin"]),
    "limit_by_name": ("", "no", "x-key"), "certificates": (root().pem, root("No").pem),
    "revocation_lists": ("", revoked(root())), "revocation_list_urls": ([], ["http://pki.example/a.crl"]),
    "logo": ("", A_LOGO), "accent": ("", "#123456"), "error_page.contact": ("", "help@no.example", "https://no.example/a?b=c#d"),
    "cors_origins": (["*"], ["https://no.example"]), "cors_methods": (["GET"], ["NO", "PUT"]), "cors_headers": ([], ["no", "X-Y"]),
    "server_path": ("", "/no"), "server_host": ("", "no", "in.example:80"), "compression_types": (["text/html"], ["image/svg+xml", "text/css"]),
    "sticky_cookie": ("no", "SRV"), "upgrades": ([], ["no", "tcp"]), "health_check_path": ("/no", "/?a=b"),
    "health_check_status": ("200", "200,204", "100-399"), "health_check_host": ("", *HOST), "tls_ca": ("", root().pem), "tls_name": ("", *HOST),
    "hostnames": (["a.example"], ["*.b.example", "b.example"], ["no.example"], ["1.0.example"]),
    "servers": ([{"address": "127.0.0.1:3000"}], [{"address": "no.example:443", "scheme": "https", "resolve_later": True}],
                [{"address": "127.0.0.1:3001", "weight": 1}, {"address": "[::1]:1", "enabled": False, "max_connections": 9}],
                [{"address": "127.0.0.1:3002"}, {"address": "127.0.0.1:3003", "backup": True, "health_check": False}],
                [{"address": "127.0.0.1:3004", "health_check_rise": 9}, {"address": "10.0.0.1:1", "draining": True, "health_check_interval": 7, "health_check_fall": 2}]),
    "own_headers": ([], [{"header": "X-No", "value": "no"}, {"direction": "request", "action": "remove", "header": "X-B", "value": ""}]),
    "own_servers": ([], ["http://127.0.0.1:4000", "https://no.example:443"]),
    "path_binding.path": ("/no", "/Café", "/a/b"), "redirect_to": ("", "/new", "https://no.example/a"),
    "header": ("X-No", "X-B"), "value": ("no", "1.0", "a: b", "'{client_ip}'"), "rule": ("942100", "941100", "941110", "attack-rfi"),
    "rules": (["941100"], ["942100", "attack-xss"]), "rule_exclusion.target_name": ("content", "no", "1.0"), "path": ("/a", "/no"),
    "methods": ([], ["GET"], ["NO", "PUT"]), "only_if": ([], ["action=save", "no=no"]), "ends_on": ("2099-12-31", None),
    "seclang": ("", RULE), "rule_id": (9000001, 9000002), "variables": (["ARGS:q"], ["REQUEST_FILENAME", "ARGS_NAMES"]),
    "transformations": ([], ["lowercase", "urlDecodeUni"]), "tags": ([], ["no", "attack-sqli"]), "status": (400, 403),
    "operator_argument": ("- x: [y", "no", "1.0"), "content_types": ([], ["text/plain"], ["image/*"]),
    "feed_url": ("", "https://lists.example/a:b.txt", "https://lists.example/no"), "country_url": ("", "https://data.example/c.mmdb"),
    "network_url": ("", "https://data.example/n.mmdb"),
    "address_list.paths": ([], ["/no", "/Café"]),
    "entries": ("203.0.113.7\n", "10.0.0.0/8  # no\n2001:db8::/32 until 2099-12-31T00:00:00Z  # a: b\n", ""),
}  # fmt: skip
"By field, or by noun and field."

HIDDEN = {"content", "certificate", "private_key", "feed_key", "password"}
"A file has instead what the first is the hash of, and no secrets."

NEEDED: dict[str, Row] = {"path_binding": {"enforcement_mode": "off"}, "address_list": {"entries": ""}}
"Beside what documentation shows of a noun."

SECRETS: dict[str, tuple[str, Any, Row]] = {
    "certificate": ("source", "upload", {"certificate": CHAIN, "private_key": KEY}),
    "address_list": ("filled_from", "crowdsec", {"feed_key": "k" * 20}),
    "site_login": ("", None, {"password": PASSWORD}),
}
"What rows of a noun whose field has this value come with, and no export says."

THEIRS = "Theirs"
"The name of a row that others refer to."

OF_ACME = ("authority", "other_authorities", "staging_authority", "preferred_chain", "challenge", "profile", "contact")
FED: Row = {"filled_from": "url", "feed_url": "https://lists.example/no"}

WITH: dict[str, Row] = {
    **{f"certificate.{name}": {"source": "acme"} for name in OF_ACME},
    "traffic.client_ip_source": {"client_ip_header": "x-edge", "trusted_networks": ["10.0.0.0/8"]},
    "traffic.health_path": {"health_networks": ["192.0.2.0/24"]},
    "virtual_host.tls_verify": {"tls_ca": root().pem},
    "traffic.client_ip_header": {"client_ip_source": "header", "trusted_networks": ["10.0.0.0/8"]},
    "policy.blocking_paranoia_level": {"detection_paranoia_level": 4},
    "policy.country_mode": {"countries": ["NO"]},
    "policy.asn_mode": {"asns": ["AS64500"]},
    "client_ca.revocation_lists": {"certificates": root().pem},
    "virtual_host.client_certificates": {"https": True, "client_ca": THEIRS},
    "virtual_host.client_ca_id": {"https": True, "client_certificates": "required"},
    "virtual_host.requires_login": {"site_logins": [{"name": "ada", "password": PASSWORD}]},
    "virtual_host.redirect": {"redirect_to": "https://no.example/a", "servers": []},
    "path_binding.redirect": {"redirect_to": "/new"},
    "address_list.applies_to": {"virtual_hosts": [THEIRS]},
    "address_list.virtual_host_ids": {"applies_to": "virtual_hosts"},
    "address_list.filled_from": FED,
    "address_list.feed_url": FED,
    "address_list.feed_every": FED,
}
"What a field needs beside it, where it says nothing alone."


def base(noun: Noun) -> Row:
    """A row that refers to none, with what there must be."""
    return {name: value for name, value in noun.example.items() if name not in noun.references} | NEEDED.get(
        noun.key, {}
    )


def secrets(noun: Noun, row: Row) -> Row:
    name, value, its = SECRETS.get(noun.key, ("", None, {}))
    return its if row.get(name, DEFAULTS[noun.key].get(name)) == value else {}


def values(noun: Noun, name: str) -> tuple[Any, ...]:
    """Of a field. None: a new field, which says nowhere what it can be."""
    own = VALUES.get(f"{noun.key}.{name}", VALUES.get(name))
    if own is not None:
        return tuple(own)
    return tuple(_by_kind(about(noun.input)[name], noun, name))


def _by_kind(field: About, noun: Noun, name: str) -> Sequence[Any]:
    unset = [None] if DEFAULTS[noun.key].get(name, ...) is None else []
    match field.kind:
        case "flag":
            return [True, False]
        case "choice":
            return [choice.value for choice in field.choices] + unset
        case "number":
            return _numbers(noun, name) + unset
        case "line" | "text":
            return TEXTS
    return ()


def _numbers(noun: Noun, name: str) -> list[int]:
    """The limits, and one between them."""
    rules = noun.fields.model_fields[name].metadata
    least, most = (
        [value for rule in rules if (value := getattr(rule, limit, None)) is not None] for limit in ("ge", "le")
    )
    return [least[0], most[0], (least[0] * 9 + most[0]) // 10]
