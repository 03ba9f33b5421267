"""A file's rows, as they are written: by section and parent, each with the lines of its keys."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from guardpanel.errors import FieldError, Invalid
from guardpanel.field_codes import FieldCode
from guardpanel.models import NOUNS
from guardpanel.models.meta import Kind, about
from guardpanel.models.noun import Noun
from guardpanel.services.site_file.keys import FORMAT, FORMAT_KEY, key_of, keys, part_models, sections
from guardpanel.services.site_file.nodes import Node, refuse
from guardpanel.services.site_file.rows import FileRow

Errors = dict[str, FieldError]
"By place in the file: `policies.0.name`."

MOST_ERRORS = 100
"The first of them are named: each is compared with what could be meant."

MOST_ROWS = 50_000
"Each takes milliseconds, during which other saves wait."

TYPED: frozenset[Kind] = frozenset({"number", "flag"})
"Kinds of fields that are not text."


def row_outside(place: str, error: FieldError) -> str:
    """The row that a file does not name, if it is about one: `Policy Strict` at `policy:1`."""
    return error.where or "" if ":" in place and not error.keys else ""


@dataclass
class Entry:
    """A row of the file."""

    noun: Noun
    path: str
    "`policies.0`"
    line: int
    raw: dict[str, Any]
    "By field. References are what a file calls rows."
    lines: Mapping[str, int]
    "Of `name` or `servers.0.address`, by field."
    parent: "Entry | None" = None
    name: str = ""
    "Once its values could be read."
    row: FileRow | None = None
    "That it belongs to, as it was before anything was saved."
    row_id: int | None = None
    "Once it is known to which row it belongs."

    def place(self, name: str) -> str:
        """Where a field is in the file: `policies.0.name`."""
        first, dot, rest = name.partition(".")
        return f"{self.path}.{key_of(self.noun, first)}{dot}{rest}" if name else self.path

    def error(self, name: str, error: FieldError) -> tuple[str, FieldError]:
        """At the key's line, or at the row's, if the key is not there."""
        parts = name.split(".")
        above = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
        line = next((self.lines[each] for each in above if each in self.lines), self.line)
        return self.place(name), replace(error, where=f"line {line}", keys=())


@dataclass
class Document:
    """All rows of a file, by noun, in its order."""

    entries: dict[str, list[Entry]] = field(default_factory=lambda: {key: [] for key in NOUNS})
    errors: Errors = field(default_factory=dict)
    count: int = 0
    "Of its rows."

    def add(self, entry: Entry) -> None:
        """Raises Invalid (422) for the first one too many."""
        self.count += 1
        if self.count > MOST_ROWS:
            words = f"At most {MOST_ROWS:,} rows. Apply this one and those below with another file, without pruning."
            raise refuse(entry.line, words, entry.path, FieldCode.TOO_LONG)
        self.entries[entry.noun.key].append(entry)

    def refuse(self, place: str, error: FieldError) -> None:
        """Raises Invalid (422) once there are many."""
        self.errors[place] = error
        if len(self.errors) == MOST_ERRORS:
            raise Invalid.of(self.errors)


def document_of(root: Node) -> Document:
    """Raises Invalid (422) with each key that is none."""
    document = Document()
    if not root.by_key:  # With --prune, a file that was cut to nothing would delete everything.
        raise refuse(root.line, f"Begin with a key and a colon, such as {FORMAT_KEY}: {FORMAT}.")
    own = dict(root.by_key)
    number = own.pop(FORMAT_KEY, None)
    if number is not None and number.value != FORMAT:
        raise refuse(number.line, f"This guardpanel reads format {FORMAT}.", FORMAT_KEY)
    _read_sections(document, own, sections(), None)
    if document.errors:
        raise Invalid.of(document.errors)
    return document


def _read_sections(
    document: Document, by_key: Mapping[str, Node], known: Mapping[str, Noun], parent: Entry | None
) -> None:
    """Sections in the order of the nouns. `by_key`: what is left once an entry's own keys are taken."""
    before = f"{parent.path}." if parent else ""
    allowed = [*known, *(keys(parent.noun) if parent else (FORMAT_KEY,))]
    for key in (key for key in by_key if key not in known):
        document.refuse(before + key, _unknown(before, key, by_key[key], allowed))
    for section, noun in known.items():
        if section in by_key:
            for path, node in _items(document, noun, before + section, by_key[section]):
                _read_entry(document, noun, path, node, parent)


def _unknown(before: str, key: str, node: Node, known: list[str]) -> FieldError:
    similar = get_close_matches(key, known, 1)
    words = f"Unknown key. Did you mean {similar[0]}?" if similar else f"Unknown key. Known keys: {', '.join(known)}."
    keys = (*before.split(".")[:-1], key)
    return FieldError(words, None, f"line {node.key_line}", FieldCode.UNKNOWN, keys=keys)


def _items(document: Document, noun: Noun, path: str, node: Node) -> Iterator[tuple[str, Node]]:
    if node.is_null:
        return
    if noun.only_name:
        yield path, node
    elif node.items is None:
        document.refuse(
            path,
            FieldError("Enter a list: each row begins with “- ”.", None, f"line {node.line}", FieldCode.WRONG_TYPE),
        )
    else:
        yield from ((f"{path}.{number}", each) for number, each in enumerate(node.items))


def _read_entry(document: Document, noun: Noun, path: str, node: Node, parent: Entry | None) -> None:
    if node.by_key is None:
        document.refuse(
            path, FieldError("Enter keys with values, such as name: …", None, f"line {node.line}", FieldCode.WRONG_TYPE)
        )
        return
    fields = keys(noun)
    own = {fields[key]: each for key, each in node.by_key.items() if key in fields}
    raw = {name: _value(document, noun, path, name, each) for name, each in own.items()}
    lines = dict(_lines("", own))
    entry = Entry(noun, path, node.line, raw, lines, parent)
    document.add(entry)
    others = {key: each for key, each in node.by_key.items() if key not in fields}
    _read_sections(document, others, sections(noun.key), entry)


def _lines(before: str, by_key: Mapping[str, Node]) -> Iterator[tuple[str, int]]:
    for name, node in by_key.items():
        yield before + name, node.key_line
        for number, item in enumerate(node.items or ()):
            yield f"{before}{name}.{number}", item.line
            yield from _lines(f"{before}{name}.{number}.", item.by_key or {})


def _value(document: Document, noun: Noun, path: str, name: str, node: Node) -> Any:
    if name in noun.references:
        return node.as_text
    model = part_models(noun).get(name)
    if model is None or node.items is None:
        return _of_kind(about(noun.input), name, node)
    fields = about(model)
    for number, item in enumerate(node.items):
        for key, each in (item.by_key or {}).items():
            if key not in fields:
                document.refuse(
                    f"{path}.{name}.{number}.{key}", _unknown(f"{path}.{name}.{number}.", key, each, list(fields))
                )
    return [
        item.value if item.by_key is None else {key: _of_kind(fields, key, each) for key, each in item.by_key.items()}
        for item in node.items
    ]


def _of_kind(fields: Mapping[str, Any], name: str, node: Node) -> Any:
    field = fields.get(name)
    return node.value if field is not None and field.kind in TYPED else node.as_text
