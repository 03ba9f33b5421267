"""Examples of bodies and responses: those of nouns from their metadata, the others by the names of fields."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from guardpanel.models import NOUNS
from guardpanel.models.noun import Noun

SITE = "policies:\n- name: Shop\n  enforcement_mode: block\n"

BODIES: Mapping[str, Any] = {
    "addAddressListEntries": {"entries": ["192.0.2.7 until 2199-12-31  # office"]},
    "applyConfiguration": SITE,
    "applyFix": {"width": "field", "reason": "The editor sends HTML."},
    "applyVirtualHostProfile": {"profile": "wordpress", "path": "/blog"},
    "createBan": {"network": "203.0.113.7", "length": "1d", "reason": "Tries passwords"},
    "createToken": {"name": "deploy", "role": "operate", "life": "90d", "requires_if_match": True},
    "evaluateRequest": {"request": "curl 'http://shop.example/?q=%3Cscript%3E'"},
    "forgiveClient": {"q": "203.0.113.7"},
    "importConfiguration": {
        "text": "defaults\n  mode http\nfrontend web\n  bind :80\n  default_backend app\n"
        "backend app\n  server a 10.0.0.5:80\n"
    },
    "logIn": {"email": "ada@example.org", "password": "correct horse battery staple"},
    "noteChange": {"note": "Agreed with the shop’s team."},
    "planConfiguration": SITE,
    "replaceAddressListEntries": "192.0.2.0/24  # office\n2001:db8::/32 until 2199-12-31\n",
    "restoreChange": {"row": "virtual_host:1"},
    "sendTestRequest": {"kind": "attack"},
    "setPathServerState": {"server": "http://10.0.0.5:8080", "state": "draining"},
    "setServerState": {"state": "draining"},
    "uploadGeoData": "(the bytes of a MaxMind DB file)",
}
"By operation. Bodies of nouns are with their models."

A_TIME = "2026-11-30T18:00:00Z"

VALUES: Mapping[str, Any] = {
    "id": 1, "version": 2, "total": 1, "page": 1, "per_page": 50, "page_size": 50, "count": 1, "next_cursor": None,
    "name": "Shop", "hostnames": ["shop.example"], "domain": "shop.example", "backend_url": "http://10.0.0.5:8080",
    "url": "http://10.0.0.5:8080", "address": "10.0.0.5:8080", "host": "shop.example", "vhost": "shop.example",
    "virtual_host": "Shop", "policy": "Shop", "method": "POST", "path": "/login", "uri": "/login",
    "request_uri": "/login", "client": "203.0.113.7", "source_ip": "203.0.113.7", "ip": "203.0.113.7",
    "network": "203.0.113.7", "email": "ada@example.org", "author": "ada@example.org",
    "created_by": "ada@example.org", "owner": "ada@example.org", "full_name": "Ada", "revision": 17, "change_id": 17,
    "row": "virtual_host:1", "rows": ["virtual_host:1"], "summary": "Changed virtual host Shop", "seconds": 0.08,
    "status_code": 403, "status": 403, "score": 5, "request_id": "f3b1c5d2-7a64-4c1e-9d0b-2a6f5e8c7b10",
    "rules": [942100], "country": "DE", "origin": "hand", "reason": "Tries passwords",
    "message": "SQL Injection Attack Detected via libinjection", "entry_count": 1, "ends_at": A_TIME, "note": "",
    "output": "", "description": "", "words": "Live and verified.", "token": "gpt_…", "access_token": "…",
    "token_type": "bearer", "request": "POST /api/v1/configuration/apply", "instance": "/api/v1/policies/1",
    "type": "about:blank",
}  # fmt: skip
"By the name of a field, where its schema accepts them."

DEEPEST = 6

KINDS = {str: "string", int: "integer", float: "number", bool: "boolean", list: "array"}


def add(document: dict[str, Any]) -> None:
    """To each body, and to the schema of each response that has one."""
    schemas: dict[str, dict[str, Any]] = document["components"]["schemas"]
    known = {noun.table.__name__: _values(noun) for noun in NOUNS.values()}
    for operation in (each for methods in document["paths"].values() for each in methods.values()):
        if operation["operationId"] in BODIES:
            for content in operation["requestBody"]["content"].values():
                content["example"] = BODIES[operation["operationId"]]
        for name in _answers(operation):
            stem = next((stem for stem in known if name in {f"{stem}{end}" for end in ENDS}), "")
            schemas[name]["examples"] = [_of(schemas[name], schemas, {**VALUES, **known.get(stem, {})})]


ENDS = ("Out", "Saved", "Read", "Page")


def _values(noun: Noun) -> dict[str, Any]:
    """The fields of its example, with their defaults."""
    read: BaseModel = noun.input.model_validate(dict(noun.example))
    return read.model_dump(mode="json")


def _answers(operation: Mapping[str, Any]) -> Iterator[str]:
    """The schemas of what it answers with if it succeeds."""
    for status, answer in operation["responses"].items():
        schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
        if status.startswith("2") and "$ref" in schema:
            yield schema["$ref"].rsplit("/", 1)[1]


def _of(
    schema: Mapping[str, Any], schemas: Mapping[str, Any], known: Mapping[str, Any], name: str = "", depth: int = 0
) -> Any:
    """A value that the schema accepts: a known one for its name, or a plain one of its kind."""
    if "$ref" in schema:
        return _of(schemas[schema["$ref"].rsplit("/", 1)[1]], schemas, known, name, depth)
    if alternatives := schema.get("anyOf") or schema.get("oneOf"):
        is_nullable = {"type": "null"} in alternatives
        if is_nullable and (depth >= DEEPEST or known.get(name, ...) is None):
            return None
        return _of(next(each for each in alternatives if each != {"type": "null"}), schemas, known, name, depth)
    if "const" in schema or "enum" in schema:
        choices = schema.get("enum") or [schema["const"]]
        return known[name] if known.get(name) in choices else choices[0]
    kind = schema.get("type")
    if kind == "object":
        return {key: _of(part, schemas, known, key, depth + 1) for key, part in schema.get("properties", {}).items()}
    if "prefixItems" in schema:
        return [_of(part, schemas, known, name, depth + 1) for part in schema["prefixItems"]]
    if kind == "array":
        given = known.get(name)
        if isinstance(given, list) and all(_is_plain(each, schema["items"]) for each in given):
            return given
        return [] if depth >= DEEPEST else [_of(schema["items"], schemas, known, name, depth + 1)]
    if name in known and _is_plain(known[name], schema):
        return known[name]
    return _plain(schema)


def _is_plain(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether it is a text, number or boolean of this schema."""
    return KINDS.get(type(value)) == schema.get("type") != "array" and schema.get("format") in {None, "date-time"}


def _plain(schema: Mapping[str, Any]) -> Any:
    if "default" in schema:
        return schema["default"]
    match schema.get("type"):
        case "integer" | "number":
            return max(0, schema.get("minimum", 0))
        case "boolean":
            return False
        case "string":
            return {"date-time": A_TIME, "date": A_TIME[:10]}.get(schema.get("format", ""), "")
    return None
