"""Files that come with the program beside its code, and which both rendering and engines need."""

import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def config_templates() -> Path:
    """Beside the package in a checkout, inside it in a wheel."""
    inside = PACKAGE / "config_templates"
    return inside if inside.is_dir() else PACKAGE.parent / "config_templates"


@cache
def lua() -> str:
    """The filter for trailers."""
    return (config_templates() / "haproxy" / "trailers.lua").read_text("utf-8")


@cache
def lua_file() -> str:
    """Its name, by what is in it: each configuration keeps the filter that it was checked with."""
    return f"trailers-{hashlib.sha256(lua().encode()).hexdigest()[:12]}.lua"
