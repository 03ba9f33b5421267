"""The HAProxy versions that guardpanel supports: one table for the panel, tools/install.sh and the README."""

from collections.abc import Mapping
from typing import NamedTuple


class Branch(NamedTuple):
    least: int
    "The minimum patch level."
    fault: str
    "The bug in older ones."


BRANCHES = {
    (2, 6): Branch(12, "guardpanel has not been tested with it"),
    (2, 8): Branch(2, "it forwards an empty Content-Length and a “#” in URLs (CVE-2023-40225, CVE-2023-45539)"),
    # 56 of 772 requests on 3.0.0: a message to the agent gets stuck in a thread without a connection to it (fixed in July 2024).
    (3, 0): Branch(11, "it can return 503 to visitors while a save goes live"),
    # haproxy/haproxy issue 3064, fixed in August 2025. 3.2.0 even crashes on a large map.
    (3, 2): Branch(6, "its runtime CLI can hang during a save"),
    (3, 4): Branch(0, ""),
}
"Long-term branches that are tested here."

REFUSED = {(3, 1): "it fails when responses are inspected"}  # SPOE was rewritten there. It works from 3.2 on.

MOVES = {(2, 8): 25, (3, 0): 11, (3, 2): 26, (3, 4): 7}
"""Patch levels that were tried: after `set server … addr` they send no request to the address before. Without HAProxy's commit
5fda64e87 of 2025, such as 2.6.12, they put connections with a request in progress back into the pool. It cannot be probed."""


HTTP3 = {(3, 2): 26, (3, 4): 7}
"""Patch levels that were tried with HTTP/3. 3.0.11 never sees the end of a request whose last QUIC frame is empty. Without
HAProxy's commit 05a295441 of 2026, such a body can be shorter than its Content-Length. Neither can be probed."""


def number(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def supported() -> str:
    """`2.6.12, … or newer patch levels of these branches`, for error messages."""
    *others, last = (number((*branch, known.least)) for branch, known in BRANCHES.items())
    return f"Use {', '.join(others)}, {last}, or a newer release of these branches."


def refusal(version: tuple[int, ...]) -> str | None:
    """Why guardpanel does not run on this version (`(3, 0, 4)`), and which ones it supports. None if it does."""
    branch, patch = version[:2], version[2]
    if branch < min(BRANCHES):
        fault = "it is too old"
    elif branch in REFUSED:
        fault = REFUSED[branch]
    elif branch in BRANCHES and patch < BRANCHES[branch].least:
        fault = BRANCHES[branch].fault
    else:
        return None
    return f"HAProxy {number(version)} is not supported: {fault}. {supported()}"


def moves_servers(version: tuple[int, ...]) -> bool:
    """Whether it changes servers' addresses at run time without sending anything to those before."""
    return _was_tried(version, MOVES)


def no_http3(version: tuple[int, ...]) -> str:
    """Why HTTP/3 is not offered with it. Empty if it is."""
    if _was_tried(version, HTTP3):
        return ""
    known = ", ".join(number((*branch, patch)) for branch, patch in HTTP3.items())
    return f"HAProxy {number(version)} can lose uploads over HTTP/3. Use {known}, or a newer release of these branches."


def _was_tried(version: tuple[int, ...], patches: Mapping[tuple[int, int], int]) -> bool:
    """It or an earlier one of its branch, or every branch before its own."""
    branch = version[0], version[1]
    return branch > max(patches) or (branch in patches and version[2] >= patches[branch])


def is_tested(version: tuple[int, ...]) -> bool:
    """Whether tests run on its branch. Others that are not rejected may work."""
    return version[:2] in BRANCHES
