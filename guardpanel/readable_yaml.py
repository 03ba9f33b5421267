"""YAML as a person can read it: several lines of text are a literal block. Written and read by libyaml where PyYAML has it, four
and ten times as fast, with the same bytes."""

from typing import Any

import yaml


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Makes plain values, never objects."""


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes plain values. What is there twice is written twice."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def _text(dumper: Any, text: str) -> yaml.ScalarNode:
    node: yaml.ScalarNode = dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)
    return node


_Dumper.add_representer(str, _text)


def written(document: object, *, ascii_only: bool = True, flow: bool = False) -> str:
    """With no line broken. `flow`: on one line, as in JSON."""
    return str(
        yaml.dump(
            document,
            Dumper=_Dumper,
            sort_keys=False,
            width=10**6,
            allow_unicode=not ascii_only,
            default_flow_style=flow,
        )
    )


def read(content: bytes | str) -> Any:
    """Raises yaml.YAMLError."""
    return yaml.load(content, Loader=Loader)  # noqa: S506 a safe loader
