"""Random configurations of every noun with every field."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from guardpanel.errors import Invalid
from guardpanel.models import NOUNS
from guardpanel.models.noun import Noun
from guardpanel.services.input import validated
from guardpanel.services.site_file.keys import defaults, key_of, labels, operations, sections
from tests.services.site_file.values import HIDDEN, WITH, Row, base, secrets, values

MOST_ROWS, MOST_WITHIN, MOST_FIELDS = 3, 1, 8

OPTIONAL = {key_of(noun, name) for noun in NOUNS.values() for name in defaults(noun.fields)}

Draw = Callable[[st.SearchStrategy[Any]], Any]


@st.composite
def states(draw: st.DrawFn) -> Row:
    """A file: sections of rows, by key. What a save would refuse across rows may be in it."""
    rows = {noun.key: _rows(draw, noun) for noun in sections().values()}
    names = {key: [*labels(enumerate(_name(NOUNS[key], row) for row in some)).values()] for key, some in rows.items()}
    for noun in sections().values():
        for row in rows[noun.key]:
            _refer(draw, noun, row, names)
            for section, child in sections(noun.key).items():
                row[section] = _rows(draw, child)
                for each in row[section]:
                    _refer(draw, child, each, names)
    return {section: rows[noun.key][0] if noun.only_name else rows[noun.key] for section, noun in sections().items()}


def _rows(draw: Draw, noun: Noun) -> list[Row]:
    number = 1 if noun.only_name else draw(st.integers(0, MOST_WITHIN if noun.parent else MOST_ROWS))
    rows: dict[str, Row] = {}
    for _ in range(number):
        row = _row(draw, noun)
        rows.setdefault(_known_by(noun, row), row)
    return list(rows.values())


def _row(draw: Draw, noun: Noun) -> Row:
    own = [name for name in (*noun.fields.model_fields, *noun.apart) if name not in {*noun.references, *HIDDEN}]
    must = [name for name in own if noun.input.model_fields[name].is_required()]
    may = draw(st.lists(st.sampled_from(own), max_size=MOST_FIELDS, unique=True))
    row = base(noun)
    for name in dict.fromkeys([*must, *may]):
        beside = WITH.get(f"{noun.key}.{name}", {})
        row |= {key: value for key, value in beside.items() if key in own} | {
            name: draw(st.sampled_from(values(noun, name)))
        }
    return _allowed(noun, row | secrets(noun, row))


def _allowed(noun: Noun, row: Row) -> Row:
    """Without what its model refuses beside the rest."""
    while True:
        try:
            validated(noun.input, row)
        except Invalid as problem:
            wrong = {name.partition(".")[0] for name in problem.errors} & {*row}
            row = {name: value for name, value in row.items() if name not in wrong} if wrong else base(noun)
        else:
            return row


def _name(noun: Noun, row: Row) -> str:
    return str(
        operations(noun).name(
            validated(noun.fields, {name: row[name] for name in row if name in noun.fields.model_fields})
        )
    )


def _known_by(noun: Noun, row: Row) -> str:
    """Of rows that are known by the same, a save would refuse the second."""
    return str(row.get("hostnames") or row.get("rule_id") or row.get("path") or _name(noun, row)).lower()


def _refer(draw: Draw, noun: Noun, row: Row, names: Mapping[str, Sequence[str]]) -> None:
    for field, key in noun.references.items():
        if field == noun.within or not names[key] or draw(st.booleans()):
            continue
        several = field.endswith("_ids")
        row[key_of(noun, field)] = draw(
            st.lists(st.sampled_from(names[key]), min_size=1, max_size=2, unique=True)
            if several
            else st.sampled_from(names[key])
        )


def without(state: Row, places: Iterable[str]) -> None:
    """Takes out of a file what is refused there: keys, or their row if it must have one of them."""
    wrong: dict[tuple[str, ...], set[str]] = {}
    for place in places:
        path, key = _row_and_key(place)
        wrong.setdefault(path, set()).add(key)
    for path in sorted(
        wrong, key=lambda path: [(int(part) if part.isdigit() else 0, part) for part in path], reverse=True
    ):
        _take_out(state, path, wrong[path])


def _row_and_key(place: str) -> tuple[tuple[str, ...], str]:
    """`virtual_hosts.0.servers.1.weight` is a `servers` of the row `virtual_hosts.0`."""
    path: list[str] = []
    parts, known = place.split("."), sections()
    while parts and parts[0] in known:
        noun = known[parts[0]]
        length = 1 if noun.only_name else 2
        path, parts, known = [*path, *parts[:length]], parts[length:], sections(noun.key)
    return tuple(path), parts[0] if parts else ""


def _take_out(state: Row, path: Collection[str], keys: Collection[str]) -> None:
    if not path:  # A row that is not in the file, and that others of it refer to.
        for section, noun in sections().items():
            for row in [state[section]] if noun.only_name else state[section]:
                for key in {key_of(noun, field) for field in noun.references} & {*row}:
                    del row[key]
        return
    *above, last = (int(part) if part.isdigit() else part for part in path)
    rows: Any = state
    for part in above:
        rows = rows[part]
    if all(key in OPTIONAL and key in rows[last] for key in keys):
        for key in keys:
            del rows[last][key]
    elif isinstance(last, int):
        del rows[last]
    else:
        rows[last] = {}
