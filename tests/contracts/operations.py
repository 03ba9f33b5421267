"""The operations of openapi.json, for tests that walk all of them."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

DOCUMENT: dict[str, Any] = json.loads((ROOT / "openapi.json").read_text())


def there(path: str) -> str:
    """Within a row that there is."""
    path = path.replace("/{address_list_id}/", "/1/").replace("/{change_id}/", "/1/")
    return path.replace("/{policy_id}/", "/1/").replace("/{virtual_host_id}/", "/1/")
