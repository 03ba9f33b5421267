"""Each sentence that only a file is answered with: at its place and line, word for word."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from guardpanel.errors import Invalid, NothingNew
from guardpanel.services import site_file
from guardpanel.services.saving.changes import Changes
from guardpanel.services.site_file import entries, nodes, plans
from guardpanel.services.site_file.applying import Options
from tests.services.site_file.files import ADA

pytestmark = pytest.mark.anyio

SERVERS = "  servers: [{address: 127.0.0.1:80}]\n"
SHOPS = "".join(
    f"- {{name: Shop, hostnames: [{host}.example], servers: [{{address: 127.0.0.1:80}}]}}\n" for host in "ab"
)
LIST = "address_lists:\n- name: A\n  virtual_hosts: {}\n"
LINES = "Anchors and aliases (& and *) are not accepted. Write the value out, or quote it."
KEYS = "certificates, traffic, policies, client_cas, error_pages, virtual_hosts, address_lists, geo_data, format"

REFUSED: dict[str | bytes, tuple[str, str | None, str]] = {
    "- a": ("file", "line 1", "Begin with a key and a colon, such as format: 1."),
    "# nothing\n": ("file", "line 1", "Begin with a key and a colon, such as format: 1."),
    "format: 2": ("format", "line 1", "This guardpanel reads format 1."),
    "policys: []": ("policys", "line 1", "Unknown key. Did you mean policies?"),
    "x: 1\n": ("x", "line 1", f"Unknown key. Known keys: {KEYS}."),
    "traffic: a": ("traffic", "line 1", "Enter keys with values, such as name: …"),
    "policies: {name: A}": ("policies", "line 1", "Enter a list: each row begins with “- ”."),
    "policies:\n- name: A\n- name: B\n- name: C\n- name: D": (
        "policies.3", "line 5", "At most 3 rows. Apply this one and those below with another file, without pruning.",
    ),
    "a: [" + "1, " * 50 + "]": ("file", "line 1", "At most 40 values."),
    "a: '" + "x" * nodes.LARGEST + "'": ("file", None, "At most 10 MiB."),
    "[" * 13 + "]" * 13: ("file", "line 1", "At most 12 levels."),
    "a: 1\nb: *a": ("file", "line 2", LINES),
    "a: 1\nb: !x 1": ("file", "line 2", "Tags (!) are not accepted. Write the value alone, or quote it."),
    "? [a]\n: 1": ("file", "line 1", "A key must be text."),
    "a: 1\nb: 2\na: 3": ("file", "line 3", "a is listed twice, first in line 1."),
    "a: 1\n---\nb: 2": ("file", "line 2", "A file has one document. Remove “---” and what follows."),
    b"a: \xff": ("file", None, "This is not UTF-8: byte 4."),
    "a: 1\nb: [1\n": ("file", "line 2", "This is not YAML: did not find expected ',' or ']'."),
    "a: 1\n b: 2": ("file", "line 2", "This is not YAML: mapping values are not allowed in this context."),
    "a: \0": ("file", "line 1", "This is not YAML: remove the control character U+0000."),
    f"virtual_hosts:\n- hostnames: [a.example]\n  policy: Defualt\n{SERVERS}": (
        "virtual_hosts.0.policy", "line 3", "Policy Defualt not found. Did you mean Default?",
    ),
    f"virtual_hosts:\n- hostnames: [a.example]\n  policy: 007\n{SERVERS}": (
        "virtual_hosts.0.policy", "line 3", "Policy 007 not found.",
    ),
    f"virtual_hosts:\n- hostnames: [a.example]\n  error_page: [A]\n{SERVERS}": (
        "virtual_hosts.0.error_page", "line 3", "Enter the name of an error page set.",
    ),
    LIST.format("Shop"): ("address_lists.0.virtual_hosts", "line 3", "Enter a list of names, such as [Shop]."),
    f"virtual_hosts:\n{SHOPS}{LIST.format('[Shop]')}": (
        "address_lists.0.virtual_hosts", "line 6", "Several are named Shop. Write Shop #1 or Shop #2.",
    ),
}  # fmt: skip


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "MOST_ROWS", 3)
    monkeypatch.setattr(nodes, "MOST", 40)


def sentences() -> Iterator[str]:
    """Of all modules, as patterns."""
    for module in Path(*site_file.__path__).glob("*.py"):
        tree = ast.parse(module.read_text())
        others = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        others |= {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            words = [part.value if isinstance(part, ast.Constant) else None for part in parts]
            if (
                id(node) not in others
                and " " in str(words[0]) + str(words[-1])
                and re.search(r"[.?…]$", str(words[-1]))
            ):
                yield "".join(".+" if each is None else re.escape(str(each)) for each in words)


def test_each_sentence_is_provoked() -> None:
    known = {words for _, _, words in REFUSED.values()} | {plans.NO_CHANGE}

    assert [pattern for pattern in sentences() if not any(re.fullmatch(pattern, words) for words in known)] == []
    assert len(list(sentences())) > 20


@pytest.mark.usefixtures("small")
async def test_a_file_is_refused_in_these_words(changes: Changes) -> None:
    for text, (place, line, words) in REFUSED.items():
        with pytest.raises(Invalid) as refused:
            await plans.plan(changes, ADA, await plans.document_in(text), Options())

        assert {key: (error.message, error.where) for key, error in refused.value.errors.items()} == {
            place: (words, line)
        }


async def test_a_file_that_changes_nothing_says_so(changes: Changes) -> None:
    document = await plans.document_in("policies: []")

    assert (await plans.plan(changes, ADA, document, Options())).sentence == plans.NO_CHANGE
    with pytest.raises(NothingNew, match="everything in the file is already live"):
        await plans.apply(changes, ADA, document, Options(), "site.yaml")
