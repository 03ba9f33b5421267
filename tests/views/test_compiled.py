"""Compiled templates are kept between starts, and never used for anything but what they were compiled from."""

from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader

from guardpanel.views.answers import compile_templates
from guardpanel.views.compiled import CompiledTemplates

compiled: list[str] = []
"What was compiled since the last `page`."


class Counting(Environment):
    def compile(self, source: str, *arguments: object, **others: object) -> object:  # type: ignore[override]
        compiled.append(source)
        return super().compile(source, *arguments, **others)  # type: ignore[call-overload]


def page(folder: Path) -> str:
    """A page, as the next start shows it."""
    compiled.clear()
    cache = CompiledTemplates(folder, folder / "filters.py")
    return Counting(loader=FileSystemLoader(folder), bytecode_cache=cache).get_template("page.html").render()


@pytest.fixture
def templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    (tmp_path / "page.html").write_text("as {{ 'it' }} was")
    (tmp_path / "filters.py").write_text("")
    assert page(tmp_path) == "as it was"
    assert compiled
    return tmp_path


def test_every_template_of_the_panel_compiles() -> None:
    """Jinja's syntax is read when a page is first shown: what only a rare page includes would be found by its visitor."""
    compile_templates()


def test_the_next_start_compiles_nothing(templates: Path) -> None:
    assert page(templates) == "as it was"
    assert not compiled


def test_a_changed_template_is_compiled_again(templates: Path) -> None:
    (templates / "page.html").write_text("as {{ 'it' }} is")

    assert page(templates) == "as it is"


@pytest.mark.parametrize("change", ["filters", "Jinja"])
def test_so_is_each_when_filters_or_jinja_change(templates: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    if change == "Jinja":
        monkeypatch.setattr("jinja2.__version__", "99")
    else:
        (templates / "filters.py").write_text("changed = True")

    assert page(templates) == "as it was"
    assert compiled


@pytest.mark.parametrize("content", [b"", b"j2", b"\0" * 500])
@pytest.mark.parametrize("kept", [0, 30])
def test_a_broken_file_is_compiled_over(templates: Path, kept: int, content: bytes) -> None:
    for path in (templates / "__pycache__").iterdir():
        path.write_bytes(path.read_bytes()[:kept] + content)

    assert page(templates) == "as it was"
    assert compiled
    assert page(templates) == "as it was"
    assert not compiled


def test_where_nothing_can_be_kept_pages_are_shown_all_the_same(templates: Path) -> None:
    for path in (templates / "__pycache__").iterdir():
        path.unlink()
    (templates / "__pycache__").rmdir()
    (templates / "__pycache__").write_text("in the way")

    assert page(templates) == "as it was"
    assert compiled
