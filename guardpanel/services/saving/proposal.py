"""The rows as a change would leave them, and what of it breaks a rule across rows."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from guardpanel.field_codes import FieldCode
from guardpanel.models import NOUNS
from guardpanel.models.noun import Key
from guardpanel.rendering import EngineFacts, Rows
from guardpanel.services.saving import differences, noun_rows

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Violation:
    """A rule that a change would break: the field, and its message. Without a `field` the message stands alone."""

    noun: str
    noun_id: int
    name: str
    field: str
    message: str
    code: FieldCode = FieldCode.INVALID
    "`TAKEN`: 409, as programs expect."

    @property
    def title(self) -> str:
        return NOUNS[self.noun].title(self.name)

    @property
    def sentence(self) -> str:
        """For readers who do not see a form with that field."""
        return f"{self.title}: {self.message}" if self.field else self.message


@dataclass(frozen=True)
class Proposal:
    """The rows as a change would leave them."""

    rows: Rows
    facts: EngineFacts
    rows_before: Callable[[], Rows]
    "Called only if a rule is broken."

    @cached_property
    def before(self) -> Rows:
        return self.rows_before()

    @cached_property
    def touched(self) -> frozenset[Key]:
        return frozenset(differences.touched(noun_rows.nouns(self.before), noun_rows.nouns(self.rows)))

    def name(self, key: Key, rows: Rows | None = None) -> str:
        noun = NOUNS[key[0]]
        return next(noun.name(row) for row in (rows or self.rows)[noun.table_name] if row["id"] == key[1])

    def at(self, key: Key, field: str, message: str, *, code: FieldCode = FieldCode.INVALID) -> Iterator[Violation]:
        """The violation, if the change touched this row."""
        if key in self.touched:
            yield Violation(*key, self.name(key), field, message, code)

    def between(
        self,
        late: Key,
        early: Key,
        field: str,
        words: str,
        *,
        code: FieldCode = FieldCode.INVALID,
        named: Mapping[str, str] | None = None,
    ) -> Iterator[Violation]:
        """Of two conflicting rows, the one that the change touched, with the other's name inserted into `words`. `named`: the
        words if the other has a name that would say nothing."""
        blamed, other = (late, early) if late in self.touched else (early, late)
        name = self.name(other)
        yield from self.at(blamed, field, (named or {}).get(name) or words.format(name), code=code)
