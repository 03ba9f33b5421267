"""Modules, functions and the lines of templates stay small enough to be read at once, and things have names of their own."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.panel import ROOT

LONGEST_MODULE, LONGEST_FUNCTION = 250, 40
"Lines."

LONGEST_TEMPLATE_LINE = 130
"Characters."

LONGER_MODULES = {"migrations/versions/0001_first_tables.py": "a migration is never changed once it is out"}

LONGER_FUNCTIONS = {
    "migrations/versions/0001_first_tables.py:upgrade": "a migration is never changed once it is out",
    "app.py:create_app": "composes: one line for each thing that the panel has",
    "rendering/haproxy.py:frame": "one line for each thing that haproxy.cfg.j2 sees",
}
"Of which every line is of the same kind, so that dividing them would hide what is done."

NO_NAMES = {"asked", "found", "got", "heard", "one", "said", "seen", "shown", "told"}
"They say what became of a thing, and not what it is."

PACKAGE = ROOT / "guardpanel"


def test_a_module_has_no_more_than_250_lines() -> None:
    lines = {name(path): path.read_text("utf-8").count("\n") for path in PACKAGE.rglob("*.py")}

    assert {file for file, count in lines.items() if count > LONGEST_MODULE} == set(LONGER_MODULES)


def test_a_tool_has_no_more_than_250_lines() -> None:
    lines = {
        path.name: path.read_text("utf-8").count("\n")
        for folder in ("tools", "bench")
        for path in (ROOT / folder).glob("*.py")
    }

    assert len(lines) > 20
    assert {file for file, count in lines.items() if count > LONGEST_MODULE} == set()


def test_a_module_of_the_agent_has_no_more_than_250_lines() -> None:
    lines = {path.name: path.read_text("utf-8").count("\n") for path in (ROOT / "spoa").glob("*.go")}

    assert len(lines) > 50
    assert {file for file, count in lines.items() if count > LONGEST_MODULE and not file.endswith("_test.go")} == set()


def test_a_function_has_no_more_than_40_lines() -> None:
    lines = {
        f"{name(path)}:{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert {function for function, count in lines.items() if count > LONGEST_FUNCTION} == set(LONGER_FUNCTIONS)


def test_a_line_of_a_template_has_no_more_than_130_characters() -> None:
    lines = {
        f"{name(path)}:{number}": len(line)
        for path in PACKAGE.rglob("templates/**/*.html")
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
    }

    assert len(lines) > 1000
    assert {file for file, length in lines.items() if length > LONGEST_TEMPLATE_LINE} == set()


def name(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def test_things_are_called_by_what_they_are() -> None:
    names = {
        f"{name(path)}:{word}" for path in PACKAGE.rglob("*.py") for word in bound(ast.parse(path.read_text("utf-8")))
    }

    assert {word for word in names if word.rpartition(":")[2] in NO_NAMES} == set()


def bound(tree: ast.Module) -> Iterator[str]:
    """Names of variables, parameters, attributes and functions."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=word, ctx=ast.Store()) | ast.Attribute(attr=word, ctx=ast.Store()) | ast.arg(arg=word):
                yield word
            case ast.FunctionDef(name=word) | ast.AsyncFunctionDef(name=word):
                yield word
