"""Each JSON pointer of an error leads to what was sent, or to a member that is missing there (RFC 6901), whatever the operation."""

import json
import re
from typing import Any

import httpx2
import pytest

from tests.contracts.operations import DOCUMENT, there

pytestmark = [pytest.mark.anyio, pytest.mark.changes_nothing]

ODD: dict[str, Any] = {
    "object": {"no/such": {"a.b": [1]}}, "list of objects": [{"a.b": 1}, {"~/": {}}], "text": "a\nb", "list of texts": ["", "a\nb\0", 7],
    "number": 2**80, "negative": -1, "empty": "", "null": None, "long": "a" * 70_000, "brackets": {"[key]": 1, "": {"[key]": 2}},
    "half a character": {"\ud800": "a"}, "half a value": {"a": "\ud800", "[key]": "\ud800"}, "list of lists": [[], [[]]], "no number": float("nan"),
}  # fmt: skip
"What no field takes, or few do."

BODIES = [
    (method.upper(), path, operation["requestBody"]["content"]["application/json"])
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
    if "application/json" in operation.get("requestBody", {}).get("content", {})
]


def whole(schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    return dict(DOCUMENT["components"]["schemas"][name]) if name else schema


def bodies(content: dict[str, Any]) -> list[Any]:
    """Some that are none, then all keys with the same odd value, and all keys of the objects in each list."""
    properties = whole(content["schema"])["properties"]
    together = [dict.fromkeys(properties, odd) for odd in ODD.values()]
    items = {name: whole(schema.get("items", {})).get("properties") for name, schema in properties.items()}
    within = [{name: [{}, dict.fromkeys(below, odd)] for name, below in items.items() if below} for odd in ODD.values()]
    return [{}, [], 1, {"a.b": 1, "~/": 1, "": 1, "[key]": 1}, *together, *filter(None, within)]


def is_place(body: Any, pointer: str) -> bool:
    """Whether it is in the body, or the place of a member that an object there does not have."""
    if pointer == "":
        return True
    *parents, last = [token.replace("~1", "/").replace("~0", "~") for token in pointer.removeprefix("/").split("/")]
    try:
        for key in parents:
            body = body[int(key)] if isinstance(body, list) else body[key]
        return isinstance(body, dict) or (isinstance(body, list) and int(last) < len(body))
    except (LookupError, ValueError, TypeError):
        return False


@pytest.mark.parametrize(("method", "path", "content"), BODIES, ids=[f"{method} {path}" for method, path, _ in BODIES])
async def test_each_pointer_is_a_place_in_the_body(
    ada_api: httpx2.AsyncClient, method: str, path: str, content: dict[str, Any]
) -> None:
    url = re.sub(r"\{\w+\}", "1", there(path))
    for body in bodies(content):
        headers = {"content-type": "application/json"}
        answer = await ada_api.request(method, url, content=json.dumps(body), headers=headers)

        errors = answer.json()["errors"] if answer.status_code in {409, 422} else []
        wrong = [error for error in errors if not is_place(body, error.get("pointer", ""))]
        assert wrong == [], (body, answer.text)
        assert not [error for error in errors if error["message"].startswith("Input should")], (body, answer.text)
        assert answer.status_code < 500 or answer.status_code in {502, 503}, (body, answer.text)
