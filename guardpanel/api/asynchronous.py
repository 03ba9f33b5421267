"""`Prefer: respond-async` (RFC 7240): the response does not wait for what may take long. `idempotent.py` carries it out."""

import json
import re
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Scope

from guardpanel.services.saving.once import Answered

PREFER = "prefer"
MAY_TAKE_LONG = re.compile(
    r"POST /api/v1/(configuration/(apply|plan|import)|changes/[^/]+/(restore|undo)|drift/redeployment|events/[^/]+/fix"
    r"|address-lists/[^/]+/feed/download|client-cas/[^/]+/revocation-lists/download|geo-data/[^/]+/download)"
    r"|(POST|PUT) /api/v1/address-lists/[^/]+/entries"
)
"Requests that `Prefer: respond-async` is for: files, what is downloaded, and lists with hundreds of thousands of entries."

DOCUMENTED_PREFER: dict[str, Any] = {
    "name": "Prefer", "in": "header", "required": False,
    "description": "`respond-async`: respond with 202 and the address of a job instead of waiting.",
    "schema": {"type": "string", "title": "Prefer"},
}  # fmt: skip

JOB_STARTED: dict[str, Any] = {
    "description": "A job (`Prefer: respond-async`).",
    "headers": {
        "location": {"description": "`/api/v1/jobs/17`.", "schema": {"type": "string"}},
        "retry-after": {"description": "Seconds to wait.", "schema": {"type": "string"}},
        "preference-applied": {
            "description": "The preference that was met (RFC 7240).",
            "schema": {"type": "string", "const": "respond-async"},
        },
    },
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {"id": {"type": "integer"}, "state": {"type": "string", "const": "running"}},
                "required": ["id", "state"],
            }
        }
    },
}


def may_take_long(method: str, path: str) -> bool:
    return MAY_TAKE_LONG.fullmatch(f"{method} {path}") is not None


def is_job(scope: Scope) -> bool:
    """Whether the client need not wait for it, and the panel has room."""
    preferences = Headers(scope=scope).getlist(PREFER)
    wants = "respond-async" in {
        word.partition(";")[0].strip().lower() for each in preferences for word in each.split(",")
    }
    return wants and may_take_long(scope["method"], scope["path"]) and scope["app"].state.panel.jobs.has_room


def started(number: int) -> Answered:
    headers = {
        "content-type": "application/json", "location": f"/api/v1/jobs/{number}", "retry-after": "1",
        "preference-applied": "respond-async",
    }  # fmt: skip
    return Answered(202, headers, json.dumps({"id": number, "state": "running"}).encode())
