"""What the library writes in C has the bytes that it writes in Python, so that a machine without libyaml agrees with one that has it."""

from typing import Any

import pytest
import yaml

from guardpanel import readable_yaml
from tests.corpus import CORPUS


class InPython(yaml.SafeDumper):
    pass


InPython.add_representer(str, readable_yaml._text)


def applications(text: str) -> list[dict[str, Any]]:
    """As the agent's configuration has them."""
    return [
        {"name": "p1", "directives": f"SecAction x\n# {text}\n", "ttl": 90_000, "check": True, "log": text},
        {"log": "json"},
    ]


@pytest.mark.parametrize("document", [[], {}, {"bind": "unix:/run/agent.sock", "applications": []}])
def test_plain_values_have_the_same_bytes(document: object) -> None:
    assert readable_yaml.written(document) == yaml.dump(document, Dumper=InPython, sort_keys=False, width=10**6)


def test_any_text_has_the_same_bytes_and_is_read_as_it_was() -> None:
    for text in CORPUS:
        document = applications(text)
        written = readable_yaml.written(document)
        assert written == yaml.dump(document, Dumper=InPython, sort_keys=False, width=10**6), text[:100]
        assert readable_yaml.read(written) == yaml.safe_load(written) == document, text[:100]


def test_several_lines_stay_lines() -> None:
    assert readable_yaml.written({"directives": "SecRuleEngine On\nInclude x\n"}) == (
        "directives: |\n  SecRuleEngine On\n  Include x\n"
    )
