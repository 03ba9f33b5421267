"""YAML is read by its lines, and only as much of it as a configuration needs."""

import pytest

from guardpanel.errors import Invalid
from guardpanel.services.site_file import nodes
from guardpanel.services.site_file.nodes import read


def test_values_are_those_of_yaml_1_2() -> None:
    document = read("a: 1\nb: [NO, on, 12:30, 1.10, true, null, ~]\nc:\n- d: |\n    x\n    y\ne: '5'\nf:\n")

    assert document.value == {
        "a": 1,
        "b": ["NO", "on", "12:30", "1.10", True, None, None],
        "c": [{"d": "x\ny\n"}],
        "e": "5",
        "f": None,
    }


def test_text_fields_read_numbers_as_they_are_written() -> None:
    assert read("- 942100\n- 1.0\n- true\n- 0x10\n- null").as_text == ["942100", "1.0", "true", "0x10", None]


def test_an_empty_file_has_no_keys() -> None:
    assert read("# nothing\n").value == {}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: &x 2", 2, "Anchors and aliases (& and *) are not accepted"),
        ("a: 1\nb: *x", 2, "Anchors and aliases"),
        ("a: &x [1]\nb: [*x, *x]", 1, "Anchors and aliases"),
        ("a: !!python/object:os.system 1", 1, "Tags (!) are not accepted"),
        ("a: !secret 1", 1, "Tags (!)"),
        ("a: 1\nb: 2\na: 3", 3, "a is listed twice, first in line 1."),
        ("a:\n  b: 1\n  b: 2", 3, "b is listed twice, first in line 2."),
        ("a: [1", 1, "This is not YAML"),
        ("a: 1\n b: 2", 2, "This is not YAML"),
        ("a: 1\n---\nb: 2", 2, "A file has one document"),
        ("? [a]\n: 1", 1, "A key must be text."),
        ("\n" + "[" * 50 + "]" * 50, 2, "At most 12 levels."),
        ("[" * 100_000, 1, "nest"),
        ("- " * 50, 1, "At most 12 levels."),
    ],
)
def test_a_file_that_is_more_is_refused_at_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(text)

    error = refused.value.errors["file"]
    assert words in error.message
    assert error.where == f"line {line}"


@pytest.mark.parametrize(("content", "words"), [(b"a: \xff", "not UTF-8: byte 4"), (b"a: \0", "This is not YAML")])
def test_a_file_that_is_no_text_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(content)

    assert words in refused.value.errors["file"].message


def test_a_large_file_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Invalid) as too_long:
        read("x" * (nodes.LARGEST + 1))
    monkeypatch.setattr(nodes, "MOST", 1_000)
    with pytest.raises(Invalid) as too_many:
        read("[" + "1," * 1_001 + "]")

    assert too_long.value.errors["file"].message == "At most 10 MiB."
    assert too_many.value.errors["file"].message == "At most 1,000 values."
