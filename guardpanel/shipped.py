"""Files that are shipped next to the code, and that both rendering and engines need."""

import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def config_templates() -> Path:
    """Next to the package in a checkout, inside it in a wheel."""
    inside = PACKAGE / "config_templates"
    return inside if inside.is_dir() else PACKAGE.parent / "config_templates"


def openapi_document() -> Path:
    """To build it takes seconds."""
    inside = PACKAGE / "openapi.json"
    return inside if inside.is_file() else PACKAGE.parent / "openapi.json"


@cache
def lua() -> str:
    """The Lua filter for trailers, and the action that delays requests."""
    return "\n".join(
        (config_templates() / "haproxy" / name).read_text("utf-8") for name in ("trailers.lua", "delays.lua")
    )


@cache
def lua_file() -> str:
    """Its name contains the hash of its content: each configuration keeps the code that it was checked with."""
    return f"guardpanel-{hashlib.sha256(lua().encode()).hexdigest()[:12]}.lua"


def profiles_directory() -> Path:
    """The application profiles."""
    return PACKAGE / "profiles"
