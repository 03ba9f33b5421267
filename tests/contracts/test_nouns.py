"""What goes through all nouns names none of them: a new one needs no edit there."""

import ast
import re
from pathlib import Path

import pytest

from guardpanel.models import NOUNS

PACKAGE = Path(__file__).parents[2] / "guardpanel"

MODULES = [
    "app.py", "errors.py", "api/nouns.py", "models/meta.py", "models/noun.py", "models/versioned_row.py", "rendering/rows.py",
    *(f"services/{name}.py" for name in ("crud", "input", "paging", "retention", "row_fields", "search")),
    *(f"services/backups/{name}.py" for name in ("archives", "backups", "contents", "copies", "restores")),
    *(f"services/history/{name}.py" for name in ("comparisons", "earlier_rows", "edits", "history", "text_differences")),
    *(
        f"services/saving/{name}.py"
        for name in (
            "change", "changes", "deployments", "differences", "former", "preparing", "progress", "proposal", "refusals", "revisions",
            "snapshots",
        )
    ),
    *(
        f"services/site_file/{name}.py"
        for name in ("applying", "batch", "entries", "exporting", "keys", "matching", "nodes", "plans", "references", "rows")
    ),
    *(f"services/truth/{name}.py" for name in ("readiness", "reconcile", "startup")),
    *(f"views/{name}.py" for name in ("changes", "details", "diffs", "editing", "forms", "lists", "menu", "merging", "search")),
]  # fmt: skip

TEMPLATES = [
    *(f"changes/{name}.html" for name in ("_files", "_words", "index", "restore", "show")),
    *(f"shared/{name}.html" for name in ("_shortcuts", "_side", "delete", "detail", "edit", "merge", "new")),
    "backups/confirm.html",
    "search/index.html",
]


def names() -> set[str]:
    """How nouns and their parts may be called in code."""
    words: set[str] = set()
    for noun in NOUNS.values():
        parts = [part for part in noun.parts if part.table]
        tables = [noun.table, *(part.table for part in parts if part.table)]
        words |= {noun.key, noun.module, noun.key.replace("_", " "), noun.plural.lower(), *noun.references}
        words |= {
            noun.table_name,
            noun.fields.__name__,
            *(table.__name__ for table in tables),
            *(part.owner for part in parts),
        }
    return words - {"settings"}  # GUARDPANEL_*, too


NAMED = re.compile(rf"(?<![A-Za-z])({'|'.join(sorted(names()))})(?![A-Za-z])")


def words_of(code: str) -> list[str]:
    """Identifiers and texts of a module, without what it says of itself."""
    places: list[str] = []
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Expr(value=ast.Constant() as docstring):
                docstring.value = ""
            case ast.Constant(value=str() as text):
                places.append(text)
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.FunctionDef(name=name):
                places.append(name)
            case ast.alias(name=name):
                places.append(name)
    return places


@pytest.mark.parametrize("path", MODULES)
def test_code_for_all_nouns_names_none(path: str) -> None:
    named = [word for word in words_of((PACKAGE / path).read_text()) if NAMED.search(word)]

    assert named == []


@pytest.mark.parametrize("path", TEMPLATES)
def test_pages_of_all_nouns_name_none(path: str) -> None:
    text = re.sub(r"\{#.*?#\}", "", (PACKAGE / "templates" / path).read_text(), flags=re.DOTALL)

    assert NAMED.findall(text) == []


def test_what_others_refer_to_comes_first() -> None:
    order = list(NOUNS)

    assert all(order.index(to) < order.index(key) for key, noun in NOUNS.items() for to in noun.references.values())
