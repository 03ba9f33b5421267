"""Whether the document has every error that the API gave to a test."""

import json
import re
from functools import cache

import httpx2

from tests.panel import ROOT

ELSEWHERE = {405}
"Statuses of paths and methods, not of operations."


@cache
def operations() -> list[tuple[str, re.Pattern[str], frozenset[int]]]:
    """Method, path and errors of each, the most literal path first."""
    paths = json.loads((ROOT / "openapi.json").read_text("utf-8"))["paths"]
    return [
        (method.upper(), pattern(path), frozenset(int(status) for status in operation["responses"]))
        for path, methods in sorted(paths.items(), key=lambda item: (item[0].count("{"), -item[0].count("/")))
        for method, operation in methods.items()
    ]


def pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"(\{[^}]+\})", path)
    *before, last = [r"[^/]+" if part.startswith("{") else re.escape(part) for part in parts if part]
    return re.compile("".join([*before, ".+" if last == "[^/]+" else last]))


async def must_be_documented(response: httpx2.Response) -> None:
    """For the hooks of a client."""
    if response.status_code < 400 or response.status_code in ELSEWHERE:
        return
    path = response.request.url.path
    for method, template, statuses in operations():
        if method == response.request.method and template.fullmatch(path):
            assert response.status_code in statuses, f"{method} {path} gave {response.status_code}: document it"
            return
