"""Committed documents are what the code says."""

import json
from pathlib import Path

from guardpanel.app import create_app
from guardpanel.settings import Settings, described

ROOT = Path(__file__).resolve().parents[2]


def test_openapi_json_is_what_the_code_serves(tmp_path: Path) -> None:
    made = create_app(Settings(data_dir=tmp_path)).openapi()

    committed = json.loads((ROOT / "openapi.json").read_text("utf-8"))

    assert committed == json.loads(json.dumps(made)), "run `make openapi`"


def test_operation_ids_are_unique_and_camel_case(tmp_path: Path) -> None:
    made = create_app(Settings(data_dir=tmp_path)).openapi()

    ids = [one["operationId"] for operations in made["paths"].values() for one in operations.values()]

    assert len(ids) == len(set(ids))
    assert all(one.isalnum() and one[0].islower() for one in ids)


def test_every_error_is_a_problem_document(tmp_path: Path) -> None:
    made = create_app(Settings(data_dir=tmp_path)).openapi()

    for path, operations in made["paths"].items():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                if status.startswith(("4", "5")):
                    assert list(answer["content"]) == ["application/problem+json"], (path, status)


def test_the_configuration_page_is_made_from_the_settings() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text("utf-8") == described(), "run `make docs`"
