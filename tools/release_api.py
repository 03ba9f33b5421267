"""Keep openapi.json as that of the last release, without its texts: `make release-api`, at a release."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RELEASED = ROOT / "tests" / "contracts" / "released-openapi.json"
TEXTS = {"summary", "title", "description", "examples", "tags"}


def main() -> None:
    document = json.loads((ROOT / "openapi.json").read_text("utf-8"))
    bare = without_texts(document)
    bare["info"]["title"] = document["info"]["title"]
    for response in responses(bare):
        response["description"] = ""  # it must have one
    RELEASED.write_text(json.dumps(bare, indent=1, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")


def responses(document: Any) -> Iterator[dict[str, Any]]:
    yield from document["components"]["responses"].values()
    for operations in document["paths"].values():
        for operation in operations.values():
            yield from (answer for answer in operation["responses"].values() if "$ref" not in answer)


def without_texts(part: Any) -> Any:
    """Fields may be called like them: those are no texts, but schemas."""
    match part:
        case dict():
            return {
                name: without_texts(value)
                for name, value in part.items()
                if name not in TEXTS or isinstance(value, dict)
            }
        case list():
            return [without_texts(item) for item in part]
    return part


if __name__ == "__main__":
    main()
