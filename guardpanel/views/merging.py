"""A form that is behind: what is there now beside what was typed, field by field, and the choice between both."""

from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast

from pydantic import BaseModel

from guardpanel.dependencies import SessionDep
from guardpanel.errors import Invalid
from guardpanel.models import Deployment, User
from guardpanel.models.meta import about
from guardpanel.models.noun import Key
from guardpanel.services.history import edits
from guardpanel.services.history.edits import FieldsIn, Since, changed
from guardpanel.services.saving import differences
from guardpanel.views.forms import Form

F = TypeVar("F", bound=BaseModel)

FEW = 8
"Values of up to so many lines are shown whole; of longer ones those that differ."

MOST = 20


@dataclass(frozen=True)
class Lines:
    """A value as lines; each says whether only this side has it."""

    lines: tuple[tuple[str, bool], ...]
    left_out: int = 0

    @classmethod
    def of(cls, text: str, other: str) -> "Lines":
        ours, theirs = text.split("\n"), set(other.split("\n"))
        marked = [(line, line not in theirs) for line in ours]
        own = [one for one in marked if one[1]]
        shown = marked if len(marked) <= FEW else (own or marked)[:MOST]
        return cls(tuple(shown) if len(ours) > 1 else ((text, False),), len(ours) - len(shown))


@dataclass(frozen=True)
class Choice:
    """One field that is not as typed. `kind` says who changed it since the form was opened."""

    name: str
    label: str
    theirs: Lines
    mine: Lines
    kind: Literal["both", "theirs", "mine", "unknown"]
    take: str
    "`theirs` or `mine`: what is chosen as the page begins."
    change: Deployment | None
    mark: str


@dataclass(frozen=True)
class Merge:
    """What stands above a form that is behind. `opened` and `version`: where it began, and what it is compared with."""

    who: str
    change: Deployment | None
    choices: tuple[Choice, ...]
    opened: int
    version: int
    moved: tuple[differences.FieldDifference, ...]
    "What became of it since it was opened, without regard to what was typed."
    is_undecided: bool

    @property
    def conflicts(self) -> int:
        return sum(choice.kind == "both" for choice in self.choices)


@dataclass(frozen=True)
class Gone:
    """What was deleted while somebody edited it: by whom and when, where that is known."""

    who: str
    change: Deployment | None


@dataclass(frozen=True)
class Row:
    """One of a noun as it is now: as fields, as a form, and what it took to get there."""

    fields: BaseModel
    form: Form
    version: int
    names: differences.Names = field(default_factory=dict)
    "Of what the fields refer to."


def is_behind(form: Form, version: int) -> bool:
    """Whether both versions have to be shown: it changed since, or the choice between both is still open."""
    is_choosing = any(name.startswith("take.") for name in form.typed)
    return is_choosing or (form.version is not None and form.version != version)


async def merged(session: SessionDep, viewer: User, form: Form, row: Row, key: Key, fields_in: FieldsIn[F]) -> Merge:
    """The same for any noun, with what became of it since the form was opened."""
    since = await edits.since(session, *key, form.opened or 0, cast("F", row.fields), fields_in)
    return merge(form, row, since, viewer)


def merge(form: Form, row: Row, since: Since[Any], viewer: User) -> Merge:
    """What was typed against what is there now, with what the form began with where that is known."""
    model = type(row.fields)
    form = (shown := form).without_empty_rows()
    mine, unread = readable(form, row)
    now, typed = (differences.as_text(fields, row.names) for fields in (row.fields, mine))
    typed |= {name: raw(form, name) for name in unread}
    names = [name for name in model.model_fields if name in {*unread, *changed(row.fields, mine)}]
    found = (choice(form, since, row, mine, name, now[name], typed[name], name in unread) for name in names)
    choices = tuple(sorted(found, key=lambda one: one.kind != "both"))
    shown.to_choose = frozenset(names)
    return Merge(
        authors(since, viewer), since.last, choices, form.opened or 0, row.version, moved(row, since), form.is_undecided
    )


def moved(row: Row, since: Since[Any]) -> tuple[differences.FieldDifference, ...]:
    if since.opened is None:
        return ()
    was, now = (differences.as_text(fields, row.names) for fields in (since.opened, row.fields))
    return tuple(
        differences.FieldDifference(name, about(type(row.fields))[name].title, was[name], now[name])
        for name in changed(since.opened, row.fields)
    )


def choice(
    form: Form, since: Since[Any], row: Row, mine: BaseModel, name: str, now: str, typed: str, is_unread: bool
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
    """What was typed as fields, and the names of those that cannot be read: they are as in `theirs`."""
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
    """A field as it was typed; of rows their addresses."""
    if rows := form.rows(name):
        return "\n".join(form.value(f"{name}.{at}.address") for at in rows)
    return form.value(name).replace("\r\n", "\n")


def authors(since: Since[Any], viewer: User) -> str:
    """Everybody whose change counts, newest first, as a sentence begins: `You and ada@example.org`."""
    changes = [since.last] if since.last else []
    names = dict.fromkeys(one.author for one in [*changes, *since.by.values()])
    shown = ["you" if name == viewer.email else name for name in names]
    words = " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
    return words.replace("you", "You", 1) if words.startswith("you") else words
