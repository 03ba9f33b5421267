"""Merging an outdated form: current and typed values, field by field, and the choice between them."""

from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast

from pydantic import BaseModel

from guardpanel.dependencies import SessionDep
from guardpanel.errors import Invalid
from guardpanel.models import Deployment, User
from guardpanel.models.meta import about
from guardpanel.models.noun import Key
from guardpanel.services.history import edits
from guardpanel.services.history.edits import EditHistory, FieldsIn, changed
from guardpanel.services.saving import differences
from guardpanel.views.forms import Form

F = TypeVar("F", bound=BaseModel)

FEW = 8
"Values with up to this number of lines are shown whole. Of longer ones, only differing lines."

MOST = 20


@dataclass(frozen=True)
class Lines:
    """A value as lines. Each tells whether only this side has it."""

    lines: tuple[tuple[str, bool], ...]
    left_out: int = 0

    @classmethod
    def of(cls, text: str, other: str) -> "Lines":
        ours, theirs = text.split("\n"), set(other.split("\n"))
        marked = [(line, line not in theirs) for line in ours]
        own = [line for line in marked if line[1]]
        lines = marked if len(marked) <= FEW else (own or marked)[:MOST]
        return cls(tuple(lines) if len(ours) > 1 else ((text, False),), len(ours) - len(lines))


@dataclass(frozen=True)
class Choice:
    """A field whose current value is not the typed one. `kind` tells who changed it since the form was opened."""

    name: str
    label: str
    theirs: Lines
    mine: Lines
    kind: Literal["both", "theirs", "mine", "unknown"]
    take: str
    "`theirs` or `mine`: the initial choice."
    change: Deployment | None
    mark: str


@dataclass(frozen=True)
class Merge:
    """The box above an outdated form. `opened` and `version` are the versions that are compared."""

    who: str
    change: Deployment | None
    choices: tuple[Choice, ...]
    opened: int
    version: int
    moved: tuple[differences.FieldDifference, ...]
    "What changed since it was opened, regardless of what was typed."
    is_undecided: bool

    @property
    def conflicts(self) -> int:
        return sum(choice.kind == "both" for choice in self.choices)


@dataclass(frozen=True)
class DeletedRow:
    """A row that was deleted while it was being edited, by whom and when if known."""

    who: str
    change: Deployment | None


@dataclass(frozen=True)
class Row:
    """A row's current state: as fields, as a form, and its version."""

    fields: BaseModel
    form: Form
    version: int
    names: differences.Names = field(default_factory=dict)
    "Names of the rows that fields refer to."


def is_behind(form: Form, version: int) -> bool:
    """Whether both versions must be shown: it changed, or a choice is still open."""
    is_choosing = any(name.startswith("take.") for name in form.typed)
    return is_choosing or (form.version is not None and form.version != version)


async def merged(session: SessionDep, viewer: User, form: Form, row: Row, key: Key, fields_in: FieldsIn[F]) -> Merge:
    """The same for any noun, with the row's history since the form was opened."""
    since = await edits.since(session, *key, form.opened or 0, cast("F", row.fields), fields_in)
    return merge(form, row, since, viewer)


def merge(form: Form, row: Row, since: EditHistory[Any], viewer: User) -> Merge:
    """Compare what was typed with the current row and, if known, with the form's initial values."""
    model = type(row.fields)
    form = (whole := form).without_empty_rows()
    mine, unread = readable(form, row)
    now, typed = (differences.as_text(fields, row.names) for fields in (row.fields, mine))
    typed |= {name: raw(form, name) for name in unread}
    names = [name for name in model.model_fields if name in {*unread, *changed(row.fields, mine)}]
    unsorted = (choice(form, since, row, mine, name, now[name], typed[name], name in unread) for name in names)
    choices = tuple(sorted(unsorted, key=lambda field: field.kind != "both"))
    whole.to_choose = frozenset(names)
    return Merge(
        authors(since, viewer), since.last, choices, form.opened or 0, row.version, moved(row, since), form.is_undecided
    )


def moved(row: Row, since: EditHistory[Any]) -> tuple[differences.FieldDifference, ...]:
    if since.opened is None:
        return ()
    was, now = (differences.as_text(fields, row.names) for fields in (since.opened, row.fields))
    return tuple(
        differences.FieldDifference(name, about(type(row.fields))[name].title, was[name], now[name])
        for name in changed(since.opened, row.fields)
    )


def choice(
    form: Form, since: EditHistory[Any], row: Row, mine: BaseModel, name: str, now: str, typed: str, is_unread: bool
) -> Choice:
    began = since.opened
    they = began is not None and getattr(began, name) != getattr(row.fields, name)
    i = began is not None and (is_unread or getattr(began, name) != getattr(mine, name))
    kind: Literal["both", "theirs", "mine", "unknown"] = (
        "unknown" if began is None else "both" if they and i else "theirs" if they else "mine"
    )
    take = form.chosen(name) or ("theirs" if kind == "theirs" else "mine")
    title = about(type(row.fields))[name].title
    return Choice(
        name, title, Lines.of(now, typed), Lines.of(typed, now), kind, take, since.by.get(name), form.mark(name)
    )


def readable(form: Form, theirs: Row) -> tuple[BaseModel, set[str]]:
    """The typed values as fields, and the names of unreadable ones, which are taken from `theirs`."""
    model = type(theirs.fields)
    unread: set[str] = set()
    while True:
        try:
            return form.with_fields_of(theirs.form, unread).fields(model), unread
        except Invalid as invalid:
            wrong = {name.partition(".")[0] for name in invalid.errors} & set(model.model_fields)
            if wrong <= unread:
                return theirs.fields, set(model.model_fields)
            unread |= wrong


def raw(form: Form, name: str) -> str:
    """A field as typed. For rows, their addresses."""
    if rows := form.rows(name):
        return "\n".join(form.value(f"{name}.{at}.address") for at in rows)
    return form.value(name).replace("\r\n", "\n")


def authors(since: EditHistory[Any], viewer: User) -> str:
    """Everyone whose change counts, newest first, to start a sentence: `You and ada@example.org`."""
    changes = [since.last] if since.last else []
    names = dict.fromkeys(change.author for change in [*changes, *since.by.values()])
    people = ["you" if name == viewer.email else name for name in names]
    words = " and ".join([", ".join(people[:-1]), people[-1]] if len(people) > 1 else people)
    return words.replace("you", "You", 1) if words.startswith("you") else words
