"""How the bodies of some requests are read, whatever their content type says otherwise."""

from typing import Annotated, Self

from pydantic import AfterValidator, ValidationInfo, field_validator
from sqlalchemy import JSON
from sqlmodel import Field

from guardpanel.models.meta import described
from guardpanel.models.noun import Noun
from guardpanel.models.policies.content_types import ReadAs, known_content_types
from guardpanel.models.policies.path_condition import Methods, PathMatch, PathText, path_for
from guardpanel.models.refusing import refuse
from guardpanel.models.types import Fields, Lines, Notes, stored
from guardpanel.models.versioned_row import VersionedRow

SHORT = 80

Types = Annotated[Lines, AfterValidator(known_content_types), Field(max_length=20)]


class BodyReadingColumns(Fields):
    """What form, JSON and table have in common."""

    path_match: PathMatch = described("Path match", PathMatch.EXACT, sa_type=stored(PathMatch))
    path: PathText = described(
        "Path",
        "",
        placeholder="/api/event",
        hint=r"Without the query. A pattern matches the whole path: /upload/\d+.",
    )
    methods: Methods = described(
        "Methods", default_factory=list, sa_type=JSON, hint="One per line. If empty, any method.", unset="any"
    )
    content_types: Types = described(
        "Content types",
        default_factory=list,
        sa_type=JSON,
        hint="One per line, for example text/plain or image/*. If empty, any, and requests without one. The policy must "
        "allow them, too.",
        unset="any",
    )
    read_as: ReadAs = described("Read as", sa_type=stored(ReadAs))
    reason: Notes = described("Reason", "")

    @field_validator("path")
    @classmethod
    def path_can_be_read(cls, path: str, info: ValidationInfo) -> str:
        return path_for(info.data.get("path_match"), path)


class BodyReadingFields(BodyReadingColumns):
    """What an operator sets: the input of the form, of the JSON body and of the table."""

    @field_validator("content_types")
    @classmethod
    def some_condition(cls, content_types: list[str], info: ValidationInfo) -> list[str]:
        if info.data.get("path_match") is PathMatch.ANY and not info.data.get("methods"):
            raise refuse("For every path and method, set the content type readings of the policy.")
        return content_types

    @field_validator("read_as")
    @classmethod
    def boundary_is_in_the_type(cls, read_as: ReadAs, info: ValidationInfo) -> ReadAs:
        others = [kind for kind in info.data.get("content_types", ()) if not kind.startswith("multipart/")]
        if read_as is ReadAs.MULTIPART and others:
            raise refuse(f"{others[0]} has no parts. Only multipart/… types can be read as multipart forms.")
        return read_as

    @property
    def name(self) -> str:
        """`POST /api/event text/plain: JSON`"""
        where = ["/".join(self.methods[:3]), self.path[:SHORT] or "any path", *self.content_types[:2]]
        return f"{' '.join(filter(None, where))}: {self.read_as.word}"


class BodyReading(BodyReadingColumns, VersionedRow, table=True):
    """A row. Its name is made of its fields."""

    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True)
    policy_id: int | None = Field(default=None, foreign_key="policy.id", ondelete="CASCADE", index=True, nullable=False)
    name: str = Field(default="", max_length=400)

    def replace(self, fields: BodyReadingFields) -> Self:
        for name in (*BodyReadingColumns.model_fields, "name"):
            setattr(self, name, getattr(fields, name))
        return self


NOUN = Noun(
    "body_reading",
    "body_readings",
    "Body reading",
    "Body readings",
    BodyReading,
    BodyReadingFields,
    "/policies/{policy_id}/body-readings",
    "policies/{policy_id}/body-readings",
    "How the bodies of some requests are parsed, by path, method, and content type.",
    {
        "path_match": "exact",
        "path": "/api/event",
        "methods": ["POST"],
        "content_types": ["text/plain"],
        "read_as": "json",
    },
    references={"policy_id": "policy"},
    within="policy_id",
)
