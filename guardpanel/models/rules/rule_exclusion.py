"""A rule switched off for one field of certain requests, because legitimate visitors trigger it there."""

from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from sqlalchemy import JSON
from sqlmodel import Field

from guardpanel.field_codes import FieldCode
from guardpanel.models.meta import Choice, described, lowered
from guardpanel.models.noun import Noun
from guardpanel.models.patterns import pattern
from guardpanel.models.policies.path_condition import Methods, PathMatch, PathText, path_for
from guardpanel.models.references import OptionalId
from guardpanel.models.refusing import refuse
from guardpanel.models.rules.ownership import LastDay, last_day_field, owner_field
from guardpanel.models.rules.rule_choices import Choices
from guardpanel.models.types import Fields, Notes, Owner, stored, visible
from guardpanel.models.versioned_row import VersionedRow

SHORT = 80
LONGEST_CONDITION = 500


class Target(Choice):
    """The part of a request that the rules no longer inspect."""

    ARGUMENT = "argument", "Argument", "A query argument or a form field."
    JSON = "json", "JSON value", "Use * for an index: items.*.text."
    ARGUMENT_NAME = "argument_name", "Argument name"
    COOKIE = "cookie", "Cookie"
    COOKIE_NAME = "cookie_name", "Cookie name"
    HEADER = "header", "Header"
    HEADER_NAME = "header_name", "Header name"
    FILE = "file", "File name", "The names of all uploaded files: they have no key of their own."
    PART = "part", "Part header", "The headers of one part of a multipart body, by the part’s name."
    XML = "xml", "XML body", "All texts and attributes: one element can’t be told from another."
    PATH = "path", "Path"
    URL = "url", "URL", "The path with its query, and the request line."
    BODY = "body", "Raw body"
    REQUEST = "request", "Whole request", "The rules do not run at all for these requests."

    @property
    def has_names(self) -> bool:
        return self in NAMED


NAMED = {
    Target.ARGUMENT, Target.JSON, Target.ARGUMENT_NAME, Target.COOKIE, Target.COOKIE_NAME, Target.HEADER,
    Target.HEADER_NAME, Target.PART,
}  # fmt: skip


def one_name(text: str) -> str:
    return visible(text.strip())


def conditions(value: object) -> object:
    """A textarea's lines as a list. Values may contain commas."""
    if isinstance(value, str):
        return [line.strip() for line in value.replace("\r", "\n").split("\n") if line.strip()]
    return value


def known_conditions(conditions: list[str]) -> list[str]:
    for condition in conditions:
        name, equals, _ = visible(condition).partition("=")
        if not (name.strip() and equals):
            raise refuse(f"{condition[:60]} must be an argument with its value, for example action=save.")
        if len(condition) > LONGEST_CONDITION:
            raise refuse(
                f"At most {LONGEST_CONDITION} characters: {condition[:60]} … has {len(condition):,}.",
                FieldCode.TOO_LONG,
            )
    return [
        f"{name.strip()}={value.strip()}" for name, _, value in (condition.partition("=") for condition in conditions)
    ]


Conditions = Annotated[list[str], BeforeValidator(conditions), AfterValidator(known_conditions), Field(max_length=10)]
FieldName = Annotated[str, StringConstraints(max_length=200), AfterValidator(one_name)]


class RuleExclusionColumns(Fields):
    """The fields that form, JSON and table share."""

    rules: Choices = described(
        "Rules",
        sa_type=JSON,
        hint="One rule ID (942100), range (942100-942199), or tag (attack-sqli) per line. IDs of custom rules, too.",
    )
    target: Target = described("Field", Target.ARGUMENT, sa_type=stored(Target))
    name_is_pattern: bool = described(
        "Field name is a pattern", False, hint=r"A regular expression for the whole name. For example, item_\d+_text."
    )
    target_name: FieldName = described(
        "Field name", "", hint="Case is ignored. If empty, every field of this kind is excluded."
    )
    path_match: PathMatch = described("Path match", PathMatch.EXACT, sa_type=stored(PathMatch))
    path: PathText = described(
        "Path",
        "",
        placeholder="/wp-json/posts",
        hint=r"Without the query. A pattern matches the whole path: /posts/\d+.",
    )
    methods: Methods = described(
        "Methods", default_factory=list, sa_type=JSON, hint="One per line. If empty, any method.", unset="any"
    )
    only_if: Conditions = described(
        "Conditions",
        default_factory=list,
        sa_type=JSON,
        hint="Only if other arguments have exactly this value, one per line: action=save.",
    )
    virtual_host_id: OptionalId = described("Virtual host", None, unset="All that use this policy")
    reason: Notes = described("Reason", "")
    owner: Owner = owner_field()
    ends_on: LastDay = last_day_field()
    enabled: bool = described("Enabled", True)

    @field_validator("target_name")
    @classmethod
    def where_there_are_names(cls, name: str, info: ValidationInfo) -> str:
        target, is_pattern = info.data.get("target"), info.data.get("name_is_pattern")
        if target is not None and not target.has_names:
            return ""
        if is_pattern and target is Target.JSON:
            raise refuse(
                r"Choose Argument for a pattern. A JSON value’s name begins with json: json\.items\.\d+\.text."
            )
        return pattern(name) if is_pattern else name

    @field_validator("path")
    @classmethod
    def path_can_be_read(cls, path: str, info: ValidationInfo) -> str:
        return path_for(info.data.get("path_match"), path)


class RuleExclusionFields(RuleExclusionColumns):
    """What an operator sets: the input of the form and the JSON body, and the columns of the table."""

    @model_validator(mode="before")
    @classmethod
    def path_is_asked_for(cls, data: Any) -> Any:
        """Validated even if it is missing, as pydantic would skip it. The same applies to the name."""
        return {"path": "", "target_name": "", **data} if isinstance(data, dict) else data

    @property
    def name(self) -> str:
        """`941100, 941160: argument content, POST /wp-json/posts`"""
        return called(self)


def called(fields: RuleExclusionColumns) -> str:
    rules = ", ".join(fields.rules[:2]) + (f" +{len(fields.rules) - 2}" if len(fields.rules) > 2 else "")
    field = " ".join(filter(None, [lowered(fields.target.word), fields.target_name[:SHORT]]))
    where = " ".join(filter(None, ["/".join(fields.methods[:3]), fields.path[:SHORT]]))
    return ", ".join(filter(None, [f"{rules}: {field}", where]))


class CheckedExclusion(RuleExclusionFields):
    """With the rule set that says that it has an effect."""

    crs_version: str = ""


class RuleExclusion(RuleExclusionColumns, VersionedRow, table=True):
    """A row. Its name is derived from its fields."""

    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True)
    policy_id: int | None = Field(default=None, foreign_key="policy.id", ondelete="CASCADE", index=True, nullable=False)
    virtual_host_id: int | None = Field(default=None, foreign_key="virtualhost.id", ondelete="CASCADE", index=True)
    name: str = Field(default="", max_length=255)
    source: str = Field(default="", max_length=200)
    "The application profile that made it, its version and path: `wordpress 1 /blog`. Empty: an operator."
    crs_version: str = Field(default="", max_length=30)
    "Of the rule set by which it was checked when it was saved; empty: by none."

    def replace(self, fields: RuleExclusionFields) -> Self:
        for name in RuleExclusionColumns.model_fields:
            setattr(self, name, getattr(fields, name))
        self.name = fields.name
        self.crs_version = fields.crs_version if isinstance(fields, CheckedExclusion) else ""
        return self


NOUN = Noun(
    "rule_exclusion",
    "rule_exclusions",
    "Rule exclusion",
    "Rule exclusions",
    RuleExclusion,
    RuleExclusionFields,
    "/policies/{policy_id}/exclusions",
    "policies/{policy_id}/exclusions",
    "Rules switched off for a field, a path, and a method.",
    {
        "rules": ["941100"],
        "target": "argument",
        "target_name": "content",
        "path_match": "exact",
        "path": "/posts",
        "methods": ["POST"],
    },
    references={"policy_id": "policy", "virtual_host_id": "virtual_host"},
    within="policy_id",
)
