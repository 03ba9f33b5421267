"""Operations that others replace: marked in the document, and in their responses (RFC 9745, and RFC 5829 for the link)."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from fastapi import Depends, Response

SINCE = datetime(2026, 11, 30, tzinfo=UTC)

HEADERS = {
    "deprecation": "Since when this operation is deprecated, such as `@1795996800`.",
    "link": 'The path that replaces it, with `rel="successor-version"`.',
}


def replaced_by(path: str) -> dict[str, Any]:
    """For the decorator of a route: all that it does is done at this path, too."""
    return {"deprecated": True, "dependencies": [Depends(_marking(path))]}


def _marking(path: str) -> Callable[[Response], Awaitable[None]]:
    async def mark(response: Response) -> None:
        response.headers["deprecation"] = f"@{int(SINCE.timestamp())}"
        response.headers["link"] = f'<{path}>; rel="successor-version"'

    return mark
