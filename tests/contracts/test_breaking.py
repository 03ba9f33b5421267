"""What would break a client of the last release fails with words; what a client need not notice does not."""

import copy
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.panel import ROOT

RELEASED = ROOT / "tests" / "contracts" / "released-openapi.json"


def without_an_operation(document: dict[str, Any]) -> None:
    del document["paths"]["/api/v1/bans"]["get"]


def without_a_field_of_a_response(document: dict[str, Any]) -> None:
    schema = document["components"]["schemas"]["BanOut"]
    del schema["properties"]["reason"]
    schema["required"].remove("reason")


def with_a_required_field_in_a_body(document: dict[str, Any]) -> None:
    schema = document["components"]["schemas"]["BanIn"]
    schema["properties"]["because"] = {"type": "string"}
    schema["required"].append("because")


def with_another_type(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["BanOut"]["properties"]["id"] = {"type": "string"}


def with_an_optional_field_and_an_operation(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["BanIn"]["properties"]["because"] = {"type": "string"}
    document["paths"]["/api/v1/more"] = {"get": {"operationId": "readMore", "responses": {"200": {"description": ""}}}}


def compared(change: Callable[[dict[str, Any]], None], folder: Path) -> subprocess.CompletedProcess[str]:
    document = copy.deepcopy(json.loads(RELEASED.read_text("utf-8")))
    change(document)
    new = folder / "openapi.json"
    new.write_text(json.dumps(document), "utf-8")
    command = [str(ROOT / "tools" / "openapi.sh"), "breaking", str(RELEASED), str(new)]
    return subprocess.run(command, capture_output=True, text=True, timeout=170, check=False)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (without_an_operation, "GET /api/v1/bans"),
        (without_a_field_of_a_response, "reason"),
        (with_a_required_field_in_a_body, "because"),
        (with_another_type, "id"),
    ],
)
def test_what_breaks_clients_is_named(change: Callable[[dict[str, Any]], None], place: str, tmp_path: Path) -> None:
    result = compared(change, tmp_path)

    assert result.returncode == 1, result.stdout + result.stderr
    assert place in result.stdout
    assert "clients of the last release would break" in result.stderr


def test_what_is_added_breaks_nothing(tmp_path: Path) -> None:
    result = compared(with_an_optional_field_and_an_operation, tmp_path)

    assert result.returncode == 0, result.stdout + result.stderr
