"""The resources that this machine or container has for HAProxy."""

import resource
from pathlib import Path

MIB = 1024 * 1024

CGROUP = Path("/sys/fs/cgroup")
MOUNTED = Path("/proc/self/cgroup")
MEMORY = Path("/proc/meminfo")

UNLIMITED = 1 << 60
"Values from here on mean no limit: cgroup v1 reports almost 2⁶³."


def memory_mib() -> int:
    """The minimum of the machine's memory and all limits above this process (cgroup v2's memory.max, v1's limit_in_bytes)."""
    total = int(MEMORY.read_text().split("MemTotal:")[1].split()[0]) * 1024
    return min([total, *_limits()]) // MIB


def open_files() -> int:
    """How many file descriptors a process started from here may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    return UNLIMITED if most == resource.RLIM_INFINITY else most


def _limits() -> list[int]:
    limits: list[str] = []
    for line in _text(MOUNTED).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root, name = (CGROUP / "memory", "memory.limit_in_bytes") if controllers else (CGROUP, "memory.max")
        folder = root / path.lstrip("/")
        limits += [_text(place / name).strip() for place in (folder, *folder.parents) if place.is_relative_to(root)]
    return [int(text) for text in limits if text.isdigit() and int(text) < UNLIMITED]


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
