"""Whatever is typed into a field is refused in words, or rendered without changing a file's structure."""

import re
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from guardpanel import readable_yaml
from guardpanel.bundle import Bundle
from guardpanel.models import NOUNS
from guardpanel.rendering import DesiredState, render
from tests.corpus import share
from tests.rows import FACTS, rows

POLICY_FIELDS: dict[str, Any] = {
    "name": "Harmless",
    "description": "harmless",
    "allowed_methods": ["GET"],
    "allowed_content_types": ["text/plain"],
    "content_type_readings": ["text/plain = json"],
    "allowed_charsets": ["utf-8"],
    "restricted_headers": ["harmless"],
    "restricted_extensions": [".harmless"],
    "skip_paths": ["/harmless/"],
    "masked_fields": ["harmless"],
    "allowed_http_versions": ["1.1"],
    "country_mode": "reject",
    "countries": ["AQ"],
    "asn_mode": "reject",
    "asns": ["AS64500"],
    "client_limits": True,
    "limit_by": "header",
    "limit_by_name": "x-harmless",
    "auto_ban": True,
    "login_paths": ["/harmless"],
    "login_statuses": ["401"],
    "error_statuses": ["404"],
}
HOST_FIELDS: dict[str, Any] = {
    "name": "Harmless",
    "notes": "harmless",
    "health_check_path": "/harmless",
    "health_check_status": "200",
    "health_check_host": "harmless.test",
    "tls_name": "harmless.test",
    "tls_ca": "",
    "server_host": "harmless.test",
    "server_path": "/harmless",
    "compression": True,
    "compression_types": ["text/harmless"],
    "cors_origins": ["https://harmless.test"],
    "cors_methods": ["HARMLESS"],
    "cors_headers": ["x-harmless"],
    "upgrades": ["harmless/1"],
    "sticky_sessions": "cookie",
    "sticky_cookie": "harmless",
    "redirect": "301",
    "redirect_to": "https://harmless.test/harmless",
    "managed_by_file": "harmless",
    "balance": "first",
    "tls_verify": "off",
}
PATH_FIELDS: dict[str, Any] = {
    "path": "/harmless",
    "own_servers": ["https://192.0.2.7:8443 weight=7"],
    "server_path": "/harmless",
    "server_host": "harmless.test",
    "own_compression": True,
    "compression": True,
    "compression_types": ["text/harmless"],
    "own_cors": True,
    "cors_origins": ["https://harmless.test"],
    "cors_methods": ["HARMLESS"],
    "cors_headers": ["x-harmless"],
    "notes": "harmless",
}
MOVED_FIELDS: dict[str, Any] = {"path": "/moved", "redirect": "301", "redirect_to": "https://harmless.test/harmless"}
"A path that is redirected has no section for its delivery."

FIELDS = {"policy": POLICY_FIELDS, "host": HOST_FIELDS, "path": PATH_FIELDS, "moved": MOVED_FIELDS}

HARMLESS_SERVER = {"scheme": "https", "address": "192.0.2.1:8443"}


def rendered(given_fields: dict[str, dict[str, Any]] | None = None, names: str = "harmless.test") -> Bundle:
    """By noun, what is typed in place of what is harmless."""
    policy, host, path, moved = ({**FIELDS[noun], **(given_fields or {}).get(noun, {})} for noun in FIELDS)
    server = {**HARMLESS_SERVER, **(given_fields or {}).get("server", {})}
    given = rows(
        {"Harmless": policy}, {names: {"policy": "Harmless", "servers": [server], **host}}, paths=[path, moved]
    )
    return render(DesiredState.from_rows(given, FACTS))


def structure(bundle: Bundle) -> dict[str, list[str]]:
    """The keyword of every line, as HAProxy, Coraza and YAML find them; maps by the shape of their lines."""
    places: dict[str, list[str]] = {}
    for path, content in bundle.files.items():
        text = content.decode("utf-8")
        assert text.endswith("\n") or not text, path
        assert not re.search(r"[^\n\x20-\x7e\x80-\uffff]", text), path
        lines = text.split("\n")
        if path.endswith(".map"):
            for line in lines[:-1]:
                value = (
                    r"301;[01];(https?://[^/?#@]+)?(/(?!/)[!-~]*)?" if path == "redirects.map" else "[A-Za-z0-9_./:;-]+"
                )
                assert re.fullmatch(rf"[!-~]+ {value}", line), line
            places[path] = [str(len(lines))]
        elif path == "coraza.yaml":
            document = readable_yaml.read(text)
            places[path] = [
                " ".join(line.split()[:1])
                for application in document["applications"]
                for line in application["directives"].split("\n")
            ] + [*document, *document["applications"][0]]
        else:
            places[path] = [" ".join(line.split()[:1]) for line in lines]
    return places


HARMLESS = structure(rendered())


def is_text(noun: str, name: str) -> bool:
    """Rather than what makes another one count."""
    return not isinstance(FIELDS[noun][name], bool)


def fields() -> list[Any]:
    return [
        *(
            pytest.param(noun, name, id=f"{noun} {name}")
            for noun in FIELDS
            for name in FIELDS[noun]
            if is_text(noun, name)
        ),
        *(pytest.param("server", name, id=f"server {name}") for name in HARMLESS_SERVER),
        pytest.param("host", "hostnames", id="virtual host hostnames"),
        pytest.param("policy", "enforcement_mode", id="policy enforcement_mode"),
        pytest.param("policy", "over_limit", id="policy over_limit"),
        pytest.param("policy", "fail_mode", id="policy fail_mode"),
        pytest.param("host", "enforcement_mode", id="virtual host enforcement_mode"),
    ]


FREE = {"name", "description", "notes", "managed_by_file"}
"Shown on pages, in no file."

KEYS = {"hosts.map", "wildcards.map", "skip_endings.map", "skip_paths.map"}
"Their number of lines follows what was typed; `structure` has looked at the shape of each."


OTHER_LINES = {"server_path": {"", "/"}, "server_host": {""}, "cors_origins": {"*"}}
"What is a value of its own, with other lines: tests/live/test_delivery.py."


def text_fields(model: type[BaseModel], before: str = "") -> Iterator[str]:
    """Fields into which something can be typed that is no number and no choice."""
    for name, info in model.model_fields.items():
        yield from texts_of(info.annotation, before + name)


def texts_of(kind: Any, name: str) -> Iterator[str]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield from text_fields(kind, f"{name}.")
    elif isinstance(kind, type) and issubclass(kind, str) and not issubclass(kind, Enum):
        yield name
    for part in get_args(kind):
        yield from texts_of(part, name)


HAVE_TESTS = {
    "virtual_host": {"hostnames", "servers.address", "servers.scheme"},
    "path_binding": {"own_headers.header", "own_headers.value"},
    "header_rule": {"header", "value", "notes"},
}
"Further ones of this module."


@pytest.mark.parametrize("noun", ["policy", "virtual_host", "path_binding", "header_rule"])
def test_whatever_can_be_typed_into_is_tried(noun: str) -> None:
    tried = {"policy": POLICY_FIELDS, "virtual_host": HOST_FIELDS, "path_binding": PATH_FIELDS | MOVED_FIELDS}

    assert set(text_fields(NOUNS[noun].fields)) - set(tried.get(noun, ())) <= HAVE_TESTS.get(noun, set())


@pytest.mark.parametrize(("noun", "name"), fields())
def test_typed_text_is_refused_in_words_or_changes_no_structure(noun: str, name: str) -> None:
    texts = share([field.values for field in fields()].index((noun, name)))
    refused = [text for text in texts if not changes_nothing(noun, name, text)]

    assert refused
    assert len(refused) < len(texts) or name not in FREE


def changes_nothing(noun: str, name: str, text: str) -> bool:
    """Whether it was taken; refused is as good."""
    is_list = isinstance(FIELDS.get(noun, {}).get(name), list) or name == "hostnames"
    try:
        bundle = rendered({noun: {name: [text] if is_list else text}})
    except ValidationError as error:
        for problem in error.errors():
            assert problem["loc"], problem
            assert len(problem["msg"]) > 10
        return False
    if text.strip() and name not in {"allowed_methods", "balance"}:
        assert not hidden(text.strip().replace("\r\n", "\n").replace("\n", " ").replace("\t", " ")), repr(text)
    if text.strip() in OTHER_LINES.get(name, ()):
        return True
    made = structure(bundle)
    assert set(made) | KEYS == set(HARMLESS) | KEYS
    for path in set(HARMLESS) - KEYS:
        assert made[path] == HARMLESS[path], (path, text)
    return True


def hidden(text: str) -> bool:
    return bool(re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]", text))


def test_what_is_typed_as_a_name_or_a_note_is_in_no_file() -> None:
    policy = {"name": "needle policy", "description": "needle"}
    host = {"name": "needle host", "notes": "needle", "managed_by_file": "needle"}
    bundle = rendered({"policy": policy, "host": host, "path": {"notes": "needle"}})

    assert not any(b"needle" in content for content in bundle.files.values())


EXCLUSION: dict[str, Any] = {
    "policy": "Harmless", "rules": ["941100"], "target_name": "harmless", "path": "/harmless", "methods": ["POST"],
    "only_if": ["harmless=1"],
}  # fmt: skip

TYPED_INTO_EXCLUSIONS: dict[str, Callable[[str], dict[str, Any]]] = {
    "rules": lambda text: {"rules": [text]},
    "field name": lambda text: {"target_name": text},
    "JSON path": lambda text: {"target": "json", "target_name": f"a.*.{text}"},
    "pattern of names": lambda text: {"name_is_pattern": True, "target_name": text},
    "path": lambda text: {"path": f"/{text}"},
    "path and all below": lambda text: {"path_match": "below", "path": f"/{text}"},
    "pattern of paths": lambda text: {"path_match": "pattern", "path": text},
    "methods": lambda text: {"methods": [text]},
    "a condition": lambda text: {"only_if": [text]},
    "a condition's name": lambda text: {"only_if": [f"{text}=1"]},
    "a condition's value": lambda text: {"only_if": [f"harmless={text}"]},
    "reason": lambda text: {"reason": text},
    "owner": lambda text: {"owner": text},
    "path as sent": lambda text: {"path_match": "as_sent", "path": f"/{text}"},
}

DIRECTIVE = re.compile(
    r'SecRule &?[A-Z_]+(?::(?:[\w.-]+|/[^"\'/ ]+/))? "!?@(?:streq|rx|eq) [^"\']+" '
    r'"(?:id:11\d{4},phase:[12],pass,nolog,tag:\'guardpanel/exclusion/1\',)?t:none(?:,t:urlDecodeUni)?'
    r'(?:,chain|(?:,ctl:(?:[^"\',]+|\'[^"\']+\'))+)"'
)
"A line of an exclusion, whatever was typed."


def excluding(typed: dict[str, Any]) -> list[str] | None:
    """The exclusion's lines; None where it is refused, in words."""
    try:
        given = rows({"Harmless": {}}, {}, exclusions=[{**EXCLUSION, **typed}])
    except ValidationError as error:
        for problem in error.errors():
            assert problem["loc"], problem
            assert len(problem["msg"]) > 10
        return None
    (application,) = render(DesiredState.from_rows(given, FACTS)).applications
    return application.directives.partition("# Rule exclusions")[2].partition("\n\nInclude")[0].split("\n")[1:]


@pytest.mark.parametrize("place", TYPED_INTO_EXCLUSIONS)
def test_what_is_typed_into_an_exclusion_is_refused_or_stays_within_its_place(place: str) -> None:
    taken = 0
    for text in share([*TYPED_INTO_EXCLUSIONS].index(place)):
        typed = TYPED_INTO_EXCLUSIONS[place](text)
        lines = excluding(typed)
        if lines is None:
            continue
        taken += 1
        assert not hidden(str(typed).replace("\\n", " ").replace("\\t", " ")), repr(text)
        steps = "urlDecodeUni" in "".join(lines)
        assert len(lines) == 4 + steps, (text, lines)
        assert all(DIRECTIVE.fullmatch(line) for line in lines), (text, lines)
        assert "%{" not in "".join(lines), text

    assert taken > 1 or place in {"rules", "methods"}


TYPED_INTO_READINGS: dict[str, Callable[[str], dict[str, Any]]] = {
    "path": lambda text: {"path": f"/{text}"},
    "path and all below": lambda text: {"path_match": "below", "path": f"/{text}"},
    "pattern of paths": lambda text: {"path_match": "pattern", "path": text},
    "methods": lambda text: {"methods": [text]},
    "content types": lambda text: {"content_types": [text]},
    "subtypes": lambda text: {"content_types": [f"text/{text}"]},
    "reason": lambda text: {"reason": text},
    "path as sent": lambda text: {"path_match": "as_sent", "path": f"/{text}"},
}

READING = re.compile(
    r'SecRule [A-Z_]+(?::Content-Type)? "!?@(?:streq|rx) [^"\']+" '
    r'"(?:id:105000,phase:1,pass,nolog,)?t:none(?:,t:urlDecodeUni)?(?:,chain|,ctl:requestBodyProcessor=XML)"'
)
"A line of a body reading, whatever was typed."


def reading(typed: dict[str, Any]) -> list[str] | None:
    """The body reading's lines; None where it is refused, in words."""
    usual = {
        "policy": "Harmless",
        "path": "/harmless",
        "methods": ["POST"],
        "content_types": ["text/plain"],
        "read_as": "xml",
    }
    try:
        given = rows({"Harmless": {}}, {}, readings=[{**usual, **typed}])
    except ValidationError as error:
        for problem in error.errors():
            assert problem["loc"], problem
            assert len(problem["msg"]) > 10
        return None
    (application,) = render(DesiredState.from_rows(given, FACTS)).applications
    return application.directives.partition("# Body readings")[2].partition("\nInclude")[0].split("\n")[1:]


@pytest.mark.parametrize("place", TYPED_INTO_READINGS)
def test_what_is_typed_into_a_body_reading_is_refused_or_stays_within_its_place(place: str) -> None:
    taken = 0
    for text in share([*TYPED_INTO_READINGS].index(place)):
        lines = reading(TYPED_INTO_READINGS[place](text))
        if lines is None:
            continue
        taken += 1
        assert len(lines) == 3 + ("urlDecodeUni" in "".join(lines)), (text, lines)
        assert all(READING.fullmatch(line) for line in lines), (text, lines)
        assert "%{" not in "".join(lines), text

    assert taken > 1 or place in {"methods", "content types", "subtypes"}


@pytest.mark.parametrize("match", ["below", "exact"])
def test_what_is_typed_as_a_bound_path_is_refused_or_stays_one_key_of_a_map(match: str) -> None:
    """HAProxy ends a map's key at a space or tab, and an entry at the end of its line."""
    taken, host = 0, {"servers": [{"address": "192.0.2.10:80"}], "policy": "Harmless"}
    for text in share(["below", "exact"].index(match)):
        path = {"path": f"/{text}", "path_match": match, "enforcement_mode": "off"}
        try:
            given = rows({"Harmless": {}}, {"shop.example": host}, paths=[path])
        except ValidationError as error:
            for problem in error.errors():
                assert len(problem["msg"]) > 10
            continue
        taken += 1
        files = render(DesiredState.from_rows(given, FACTS)).files
        for name in ("paths", "paths_exact", "paths_written", "paths_written_exact"):
            lines = files[f"{name}.map"].decode()
            assert lines == "" or re.fullmatch(r"1:/[^ \t\r\n]* 1\.1(:weak)?\n", lines), (text, lines)

    assert taken > 1


HEADER_LINE = re.compile(
    r"    http-(?:request|response) (?:(?:set|add)-header 'x-[^']+' (?:'[^']*'|\\')+|del-header 'x-[^']+')"
)
"A line of a header rule, whatever was typed. A quote stands outside of quotes there."

TYPED_INTO_HEADER_RULES: dict[str, Callable[[str], dict[str, Any]]] = {
    "value": lambda text: {"value": text},
    "value of a request": lambda text: {"direction": "request", "action": "add", "value": f"{{client_ip}}{text}"},
    "header": lambda text: {"header": f"x-{text}"},
    "header that is removed": lambda text: {"header": f"x-{text}", "action": "remove", "value": ""},
}


@pytest.mark.parametrize("place", TYPED_INTO_HEADER_RULES)
def test_what_is_typed_into_a_header_rule_is_refused_or_stays_one_word(place: str) -> None:
    """And no variable of HAProxy's, but those that were asked for."""
    taken, host = 0, {"servers": [{"address": "192.0.2.10:80"}], "health_check": False}
    for text in share([*TYPED_INTO_HEADER_RULES].index(place)):
        typed = {"header": "x-harmless", "value": "harmless", **TYPED_INTO_HEADER_RULES[place](text)}
        try:
            bound = {"path": "/x", "own_headers": [typed]}
            given = rows({}, {"shop.example": host}, header_rules=[typed], paths=[bound])
        except ValidationError as error:
            for problem in error.errors():
                assert problem["loc"], problem
                assert len(problem["msg"]) > 10
            continue
        taken += 1
        _, own, of_path = (
            render(DesiredState.from_rows(given, FACTS)).files["haproxy.cfg"].decode().split("\nbackend be_1")
        )
        _, balance, line, server, _ = own.split("\n", 4)
        assert (balance.split()[0], server.split()[0]) == ("balance", "server")
        assert HEADER_LINE.fullmatch(line), (text, line)
        assert not re.search("%(?!%)", line.replace("%%", "").replace("'%[src]", "'")), (text, line)
        assert of_path.split("\n")[2:4] == [line, line], "the path's own, after the virtual host's"

    assert taken > 1
