"""Tables that stack on a phone (static/css/tables.css): each cell has a place there, or leaves on purpose, and no two have the same."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from tests.panel import ROOT

TEMPLATES = ROOT / "guardpanel" / "templates"
STACKED = re.compile(r'<table class="table[^"]*\bstacks\b.*?</table>', re.DOTALL)
BODY = re.compile(r"<tbody>.*", re.DOTALL)
CELL = re.compile(r'<td(?: class="([^"]*)")?|\{% (?:elif|else)')
PLACE = re.compile(r"c-(?:name|what|where|state|mode|num|actions|warn)\b")
STACKS = [
    (path, table[0])
    for path in sorted(TEMPLATES.rglob("*.html"))
    for table in STACKED.finditer(path.read_text("utf-8"))
]


def _cells(table: str) -> list[str | None]:
    """The classes of each cell; None between two of which only one is drawn."""
    body = BODY.search(table)
    assert body
    return [match[1] or "" if match[0].startswith("<td") else None for match in CELL.finditer(body[0])]


@pytest.mark.parametrize(("path", "table"), STACKS, ids=[path.relative_to(TEMPLATES).as_posix() for path, _ in STACKS])
def test_each_cell_has_a_place_of_its_own_on_a_phone(path: Path, table: str) -> None:
    cells = _cells(table)
    places = [[None] if cell is None else PLACE.findall(cell) for cell in cells]
    flat = [place for found in places for place in found]

    assert "" not in cells, f"{path}: a cell without a class is hidden on a phone"
    assert [one for one, other in pairwise(flat) if one and one == other] == []
