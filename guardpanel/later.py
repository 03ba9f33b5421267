"""Modules that are imported when they are first used: megabytes that most panels never need."""

from importlib import import_module
from typing import Any


class Later:
    """Stands for a module, or for a package with its modules. Threads share it, as they share what is imported."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        module = import_module(self._name)
        return getattr(module, name) if hasattr(module, name) else import_module(f"{self._name}.{name}")
