"""Every field of every operation counts: changing it shows in the answer, or is refused by its name."""

import itertools
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from guardpanel.settings import Settings
from tests.certificates.made import root
from tests.contracts.operations import DOCUMENT, there
from tests.factories import a_react_policy, a_vhost

pytestmark = pytest.mark.anyio

SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]

Path_ = tuple[str | int, ...]
"Into a body: `backends`, 0, `url`."

OTHER_VALUES: dict[str, Any] = {
    "country_url": "https://changed.example/a.mmdb", "network_url": "https://changed.example/b.mmdb",
    "domain": "changed.example", "hostnames": ["changed.example", "more.example"], "url": "http://127.0.0.9:99",
    "backend_url": "http://127.0.0.9:99", "address": "127.0.0.9:99", "allowed_methods": ["GET", "PUT"],
    "allowed_content_types": ["application/json"], "content_type_readings": ["image/* = none"], "skip_paths": [".css"], "allowed_charsets": ["koi8-r"], "allowed_http_versions": ["1.1"],
    "restricted_headers": ["x-changed"], "restricted_extensions": [".changed"], "masked_fields": ["pin"], "geoip_countries": ["DE"], "countries": ["DE"], "asns": ["AS64500"], "limit_by": "network", "limit_by_name": "changed", "login_paths": ["/changed"], "login_statuses": ["422"], "error_statuses": ["404"],
    "health_check_host": "up.example", "health_check_path": "/changed", "health_check_status": "204", "tls_name": "in.example",
    "rule": "942200", "rules": ["942200"], "rule_id": 942200, "target_type": "args_names", "path": "/changed", "path_prefix": "/changed", "scope_path": "/changed", "methods": ["PUT"],
    "variables": "ARGS:changed|!ARGS:/(?i)^x/", "transformations": ["lowercase"], "tags": ["attack-sqli"],
    "seclang": "SecAction \"id:9000001,phase:2,pass,nolog,setvar:'tx.mine=1'\"",
    "actions": "deny,status:400,t:none,log,msg:'Changed',severity:'ERROR'",
    "server_path": "/changed", "own_servers": ["http://127.0.0.9:99"], "server_host": "in.example:8080", "upgrades": ["tcp"], "compression_types": ["text/html"], "cors_origins": ["https://changed.example"], "cors_methods": ["PUT"], "cors_headers": ["X-Changed"], "own_headers": [{"header": "X-Changed", "value": "changed"}], "header": "X-Changed",
    "only_if": ["action=save"], "profile": "webdav", "content_types": ["image/*"], "ends_on": "2027-01-31",
    "entries": ["changed"], "paths": ["/changed"], "row": "virtual_host", "virtual_host_ids": [2], "content": f"1 entry ({'a' * 64})", "certificates": root("Changed").pem, "revocation_list_urls": ["http://changed.example/a.crl"], "names": ["changed.example"], "other_authorities": ["https://changed.example/dir"], "staging_authority": "https://changed.example/trial", "source": "local_ca", "scheme": "https", "policy_id": 1, "certificate_id": 1, "error_page_id": 1, "password": "short", "default_certificate_id": 1, "tls_verify": "off", "trusted_networks": ["192.0.2.0/24"], "health_networks": ["192.0.2.0/24"], "proxy_networks": ["192.0.2.7"],
}  # fmt: skip
"Another value where a text has a form. What is missing here is changed by its type."

CONFIRMS = {"save_anyway", "new_certificate"}
"Says yes to a warning, and nothing without one; asks for another row beside this one: tests/certificates."


def bodies(method: str) -> Iterator[tuple[str, Path_, dict[str, Any]]]:
    """Each field of each body: the operation's path, where the field stands, and its schema."""
    for path, operations in DOCUMENT["paths"].items():
        body = operations.get(method, {}).get("requestBody")
        if (
            body
            and "application/json" in body["content"]
            and "/auth/" not in path
            and not path.endswith(("/fix", "/bans", "/import", "/evaluation", "/forgive", "/test-requests"))
        ):  # of real engines: live/test_fix_live.py, live/test_json_actions_live.py, api/test_page_actions.py; an end: views/test_bans.py; files: services/importing
            yield from (
                (path, place, schema) for place, schema in fields(body["content"]["application/json"]["schema"])
            )


def fields(schema: dict[str, Any], place: Path_ = ()) -> Iterator[tuple[Path_, dict[str, Any]]]:
    for name, field in whole(schema)["properties"].items():
        if name in CONFIRMS:
            continue
        yield (*place, name), field
        items = whole(whole(field).get("items", {}))
        if "properties" in items:
            yield from fields(items, (*place, name, 0))


def whole(schema: dict[str, Any]) -> dict[str, Any]:
    """What a reference leads to, and what may stand there beside null."""
    if "$ref" in schema:
        return whole(SCHEMAS[schema["$ref"].rsplit("/", 1)[1]])
    for option in schema.get("anyOf", ()):
        if option.get("type") != "null":
            return whole(option)
    return schema


def changed(name: str, value: Any, schema: dict[str, Any]) -> Any:
    """Another value of the same kind."""
    if name in OTHER_VALUES:
        return OTHER_VALUES[name]
    schema = whole(schema)
    match schema.get("type"):
        case "boolean":
            return not value
        case "integer":
            return 1 if value is None else value + 1
        case "string" if "enum" in schema:
            return next(choice for choice in schema["enum"] if choice != value)
        case "string":
            return f"{value or ''}changed"
        case "array" if "properties" in whole(schema["items"]):
            (key,) = whole(schema["items"])["required"]
            return [*(value or ()), {key: OTHER_VALUES[key]}]
    raise AssertionError(f"say in OTHER_VALUES what else {name} may be: {schema}")


def at(body: Any, place: Path_) -> Any:
    for part in place:
        body = body[part] if isinstance(part, int) or part in body else None
        if body is None:
            return None
    return body


def put(body: Any, place: Path_, value: Any) -> Any:
    """A copy with another value there."""
    if not place:
        return value
    part, *rest = place
    if isinstance(part, int):
        return [put(item, tuple(rest), value) if number == part else item for number, item in enumerate(body)]
    return {**body, part: put(body.get(part), tuple(rest), value)}


def named(place: Path_) -> str:
    return ".".join(map(str, place))


TWICE = {
    "rule": {"rule_id"}, "rules": {"rule_id"}, "target": {"target_type", "target_value"}, "target_name": {"target_type", "target_value"},
    **{key: {"actions"} for key in ("name", "action", "points", "severity", "tags", "status", "transformations", "seclang")},
    "path": {"scope_path"}, "path_match": {"scope_path"}, "name_is_pattern": {"target_type", "target_value"},
    "hostnames": {"domain"}, "backends": {"backend_url"}, "backend_url": {"backends"}, "servers": {"backends", "backend_url"},
}  # fmt: skip
"Said by these, too: beside them it would be refused at the other's name."

OVERRIDES = "/api/v1/policies/{policy_id}/rules"

CUSTOM_RULES = "/api/v1/policies/{policy_id}/custom-rules"


def usual(path: str, place: Path_ = (), bind: str = "") -> dict[str, Any]:
    """What the React panel sends, without what says the same as this field."""
    if path.endswith("/traffic"):
        return {"trusted_networks": ["10.0.0.0/8"], "client_ip_header": "x-edge", "client_ip_source": "connection",
                "forwarded_hops": 1, "listeners": [{"address": bind, "proxy_networks": ["10.0.0.0/8"]}]}  # fmt: skip
    if path.endswith("/geo-data"):
        return {}
    if path.startswith(CUSTOM_RULES):
        body = {"rule_id": 9000001, "phase": "request_body", "variables": "ARGS:q", "operator": "contains", "operator_argument": "x",
                "actions": "deny,msg:'Mine'", "comment": None, "is_active": True, "seclang": ""}  # fmt: skip
        own = {"name": "Mine", "action": "block"}
        said_by = TWICE.get(str(place[0]), set()) if place else set()
        return {name: value for name, value in (body | own).items() if name not in (said_by or own)}
    if path.startswith(OVERRIDES):
        body = {"rule_id": 941100, "rule": "941100", "action": "disable", "comment": None}
        return {
            name: value
            for name, value in body.items()
            if name != ("rule" if place and place[0] == "rule_id" else "rule_id")
        }
    if "/changes/" in path:
        return {"note": "Mine"} if path.endswith("}") else {"row": "virtual_host:1"}
    if path.endswith("/tokens"):
        return {"name": "Mine"}
    if "error-pages" in path:
        return {"name": "Mine", "site_name": "Example Shop"}
    if "client-cas" in path:
        return {"name": "Staff", "certificates": root().pem}
    if "certificates" in path:
        return {"name": "Mine", "source": "self_signed", "names": ["mine.example"]}
    if path.endswith("/entries"):
        return {"entries": ["203.0.113.7"]}
    if "address-lists" in path:
        fed = {"filled_from": "url", "feed_url": "https://lists.example/drop.txt"}
        return {"name": "Mine", "applies_to": "virtual_hosts", "virtual_host_ids": [1], **fed}
    if "body-readings" in path:
        return {"path_match": "exact", "path": "/posts", "methods": ["POST"], "read_as": "json"}
    if "/logins" in path:
        return {"name": "ada", "password": "correct horse"}
    if "/header-rules" in path:
        return {"header": "X-Robots-Tag", "value": "noindex"}
    if "/policy-bindings" in path:
        prefix = "path_prefix" if place and place[0] in {"path_prefix", "comment"} else "path"
        headers = [{"header": "X-Robots-Tag", "value": "noindex"}]
        return {prefix: "/api", "enforcement_mode": "detect_only", "redirect_to": "/new", "own_headers": headers}
    if path.endswith("/profiles"):
        return {"profile": "graphql"}
    if "exclusions" in path:
        body = {"rule_id": 941100, "target_type": "args", "target_value": "content", "scope_path": "/posts", "comment": None,
                "rules": ["941100"], "target": "argument", "target_name": "content", "path_match": "below", "path": "/posts"}  # fmt: skip
        theirs = set(body) & {"rule_id", "target_type", "target_value", "scope_path"}
        ours = {"rules", "target", "target_name", "path_match", "path"}
        return {
            name: value
            for name, value in body.items()
            if name not in (ours if place and place[0] in theirs else theirs)
        }
    body = (
        a_react_policy(detection_paranoia_level=4, ddos_protection_enabled=True)
        if "policies" in path
        else a_vhost(https_redirect=False, hsts_seconds=0, redirect_to="https://new.example")
    )
    if place and place[0] == "servers":
        body["servers"] = [{"address": "127.0.0.1:3000"}]
    if place and str(place[0]).startswith("health_check"):
        body["backends"] = [{"url": body["backend_url"]}]
    return {name: value for name, value in body.items() if not place or name not in TWICE.get(str(place[0]), ())}


def counts(answer: httpx2.Response, place: Path_, value: Any) -> bool:
    if answer.status_code in {200, 201}:
        return shows(at(answer.json(), place), value)
    if answer.json().get("code") == "needs_confirmation":
        return True  # What is asked about counts.
    problems = answer.json().get("errors", [])
    refused = {problem["field"] for problem in problems}
    return answer.status_code == 422 and any(f"{name}.".startswith(f"{named(place)}.") for name in refused)


def shows(answered: Any, sent: Any) -> bool:
    """All that was sent; an answer may say more."""
    match sent:
        case dict():
            return all(shows(answered[name], value) for name, value in sent.items())
        case list():
            return len(answered) == len(sent) and all(map(shows, answered, sent))
    return bool(answered == sent)


async def what_it_is_within(client: httpx2.AsyncClient, path: str) -> None:
    """What a row belongs to, or refers to."""
    if "/changes/" in path:
        await client.post("/api/v1/vhosts", json=a_vhost())
    if path.endswith(("/vhosts", "/{virtual_host_id}")) or "/policy-bindings" in path:
        await client.post("/api/v1/error-pages", json={"name": "Theirs"})
    if "{virtual_host_id}/" in path or "address-lists" in path:
        await client.post("/api/v1/vhosts", json=a_vhost() | {"policy_id": 1})
    if "address-lists" in path:
        await client.post("/api/v1/vhosts", json=a_vhost("other.example"))
    if "{address_list_id}/" in path:
        await client.post("/api/v1/address-lists", json={"name": "Theirs"})


async def a_row(client: httpx2.AsyncClient, path: str) -> str:
    """The address of one, made for it where there may be many."""
    if path.endswith("/{change_id}"):
        return path.replace("{change_id}", "1")
    home, _, number = there(path).partition("/{")
    return f"{home}/{(await client.post(home, json=usual(path))).json()['id']}" if number else home


ROWS = sorted({path for path, _, _ in bodies("patch")})

LISTS = sorted({path for path, _, _ in bodies("post")})


@pytest.mark.parametrize("path", ROWS)
async def test_a_field_that_is_changed_counts_in_a_patch(
    ada_api: httpx2.AsyncClient, settings: Settings, path: str
) -> None:
    """In a row that is sent back whole, as it was read; and beside nothing else, when its value is put back."""
    await what_it_is_within(ada_api, path)
    address = await a_row(ada_api, path)

    async def as_usual() -> dict[str, Any]:
        answer = await ada_api.patch(address, json=usual(path, bind=settings.http_bind))
        assert answer.status_code == 200, answer.text
        row = answer.json()
        return {name: row.get(name) for name in known(path)}

    whole_row = await as_usual()
    same = await ada_api.patch(address, json=whole_row)
    assert same.status_code == 200, same.text

    ignored = {}
    for _, place, schema in (case for case in bodies("patch") if case[0] == path):
        value = changed(str(place[-1]), at(whole_row, place), schema)
        alone = {place[0]: whole_row[str(place[0])]}

        answer = await ada_api.patch(address, json=put(whole_row, place, value))
        if not counts(answer, place, value):
            ignored[named(place)] = answer.text
        if answer.status_code == 200:
            answer = await ada_api.patch(address, json=alone)
            if {name: answer.json().get(name) for name in whole_row} == whole_row:
                continue
            whole_row = await as_usual()
        same = await ada_api.patch(address, json=alone)
        assert same.status_code == 200, (alone, same.text)
        answer = await ada_api.patch(address, json=put(alone, place, value))
        if not counts(answer, place, value):
            ignored[named(place)] = answer.text
        if answer.status_code == 200:
            whole_row = await as_usual()

    assert not ignored


def known(path: str) -> list[str]:
    """What a write of such a row may name."""
    body = DOCUMENT["paths"][path]["patch"]["requestBody"]["content"]["application/json"]["schema"]
    return list(whole(body)["properties"])


@pytest.mark.parametrize("path", LISTS)
async def test_a_field_that_is_given_counts_in_a_post(ada_api: httpx2.AsyncClient, path: str) -> None:
    await what_it_is_within(ada_api, path)
    ignored = {}
    for _, place, schema in (case for case in bodies("post") if case[0] == path):
        body = usual(path, place)
        value = changed(str(place[-1]), at(body, place), schema)
        answer = await ada_api.post(there(path), json=put(body, place, value))
        if not counts(answer, place, value) and (named(place), value) not in NOTHING:
            ignored[named(place), value] = answer.text
        if answer.status_code == 201 and "id" in answer.json():
            await ada_api.delete(f"{there(path)}/{answer.json()['id']}")

    assert not ignored


@pytest.mark.parametrize("path", LISTS)
async def test_null_counts_in_a_post(ada_api: httpx2.AsyncClient, path: str) -> None:
    """In many fields at once: those where it is refused are named; the others show it when they are sent without these."""
    await what_it_is_within(ada_api, path)
    places = [place for _, place, _ in (case for case in bodies("post") if case[0] == path)]
    apart = [place for place in places if len(place) > 1 or place[0] in {*TWICE, *itertools.chain(*TWICE.values())}]
    for together in [[place for place in places if place not in apart], *([place] for place in apart)]:
        left = together
        while left and (refused := await null_refused(ada_api, path, left)):
            left = [place for place in left if place not in refused]


async def null_refused(client: httpx2.AsyncClient, path: str, places: list[Path_]) -> list[Path_]:
    """Null in all of them. Those where it is refused, by name; none after all were taken and shown."""
    body = usual(path, places[0])
    for place in places:
        body = put(body, place, None)
    answer = await client.post(there(path), json=body)
    counted = [place for place in places if counts(answer, place, None)]
    if answer.status_code not in {200, 201}:
        assert counted, (places, answer.text)
        return counted
    assert [place for place in places if place not in counted and (named(place), None) not in NOTHING] == []
    if "id" in answer.json():
        await client.delete(f"{there(path)}/{answer.json()['id']}")
    return []


WRONG_KIND: dict[str, tuple[Any, ...]] = {"integer": (True, False, "5"), "boolean": (1, 0, "yes"), "string": (5, True)}


@pytest.mark.parametrize("path", LISTS + ROWS)
async def test_a_value_of_another_kind_is_refused_at_its_field(
    ada_api: httpx2.AsyncClient, settings: Settings, path: str
) -> None:
    """JSON tells numbers, texts and truth apart: true is not stored as 1. Many at once, since each of them is named."""
    await what_it_is_within(ada_api, path)
    method, address = ("POST", there(path)) if path in LISTS else ("PATCH", await a_row(ada_api, path))
    taken: dict[tuple[str, Any], str] = {}
    for wrong in of_another_kind(path, method.lower()):
        body = usual(path, next(iter(wrong)), settings.http_bind)
        for place, value in wrong.items():
            body = put(body, place, value)

        answer = await ada_api.request(method, address, json=body)

        assert answer.status_code == 422, answer.text
        taken |= {
            (named(place), value): answer.text for place, value in wrong.items() if not counts(answer, place, value)
        }

    assert not taken


def of_another_kind(path: str, method: str) -> Iterator[dict[Path_, Any]]:
    """By place; those of rows within in a body of their own, in which these rows are."""
    kinds: dict[tuple[str, int], dict[Path_, Any]] = {}
    for _, place, schema in (case for case in bodies(method) if case[0] == path):
        within = str(place[0]) if len(place) > 1 else ""
        for turn, value in enumerate(WRONG_KIND.get(whole(schema).get("type", ""), ())):
            kinds.setdefault((within, turn), {})[place] = value
    yield from kinds.values()


NOTHING = {("ssl_enabled", None), ("ssl_provider", None), ("policy_id", None), ("life", "30d")}
"Says that there is no certificate, as the answer does in another word; is answered with the default policy; as its end (api/test_tokens.py)."
