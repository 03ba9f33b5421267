"""Which HAProxy guardpanel runs on: one table for the panel, for tools/install.sh and for the README."""

from typing import NamedTuple


class Branch(NamedTuple):
    least: int
    "The oldest patch level that is good enough."
    fault: str
    "What older ones do."


BRANCHES = {
    (2, 6): Branch(12, "guardpanel has not been tested with it"),
    (2, 8): Branch(2, "it forwards an empty Content-Length and a “#” in URLs (CVE-2023-40225, CVE-2023-45539)"),
    # 56 of 772 requests on 3.0.0: a message to the agent stays with a thread that has no connection to it (fixed in July 2024).
    (3, 0): Branch(11, "it can return 503 to visitors while a save goes live"),
    # haproxy/haproxy issue 3064, fixed in August 2025; 3.2.0 ends altogether over a large map.
    (3, 2): Branch(6, "its runtime CLI can hang during a save"),
    (3, 4): Branch(0, ""),
}
"Those that are maintained for years and tested here."

REFUSED = {(3, 1): "it fails when responses are inspected"}  # SPOE was rewritten there; good from 3.2 on


def number(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def supported() -> str:
    """`2.6.12, … or newer patch levels of these branches`, for whoever has to choose one."""
    *others, last = (number((*branch, known.least)) for branch, known in BRANCHES.items())
    return f"Use {', '.join(others)}, {last}, or a newer release of these branches."


def refusal(version: tuple[int, ...]) -> str | None:
    """Why guardpanel does not run on this version (`(3, 0, 4)`), and on which it does; None where it runs."""
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


def is_tested(version: tuple[int, ...]) -> bool:
    """Whether the tests run on its branch; another one that is not refused may work."""
    return version[:2] in BRANCHES
