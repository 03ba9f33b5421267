"""Path bindings: what a path of a virtual host gets that its other paths do not."""

from typing import Annotated, Any, Self

from pydantic import AfterValidator, ValidationInfo, field_validator
from sqlalchemy import JSON
from sqlmodel import Field

from guardpanel.models.delivery.path_delivery import (
    OwnHeadersFields,
    PathDeliveryColumns,
    is_different,
    needs_section,
)
from guardpanel.models.delivery.redirect import Redirect, RedirectColumns
from guardpanel.models.header_rule import change_in_words
from guardpanel.models.meta import Choice, described
from guardpanel.models.noun import Noun, Part
from guardpanel.models.policies.enforcement import EnforcementMode
from guardpanel.models.policies.path_condition import bound_path
from guardpanel.models.references import OptionalId
from guardpanel.models.refusing import refuse
from guardpanel.models.types import Notes, stored
from guardpanel.models.versioned_row import VersionedRow
from guardpanel.models.virtual_host import OptionalMode


class BoundPath(Choice):
    BELOW = "below", "This path and everything below"
    EXACT = "exact", "Exactly"


class PathBindingColumns(RedirectColumns, PathDeliveryColumns):
    """What form, JSON and table have in common."""

    path_match: BoundPath = described("Path match", BoundPath.BELOW, sa_type=stored(BoundPath))
    path: Annotated[str, AfterValidator(bound_path)] = described(
        "Path",
        placeholder="/login",
        hint="Without the query, decoded: /café. Upper and lower case are the same, and so are /login and /login/.",
    )
    requires_login: bool = described(
        "Requires login",
        False,
        hint="With one of the virtual host’s logins, also for paths below that have bindings of their own.",
    )
    policy_id: OptionalId = described("Policy", None, unset="Same as virtual host")
    enforcement_mode: OptionalMode = described(
        "Enforcement mode",
        None,
        sa_type=stored(EnforcementMode),
        short="Mode",
        unset="Same as policy",
        hint="Overrides the policy’s mode. Off skips inspection.",
    )
    notes: Notes = described("Notes", "")


class PathBindingFields(PathBindingColumns, OwnHeadersFields):
    """What an operator sets: the input of the form, of the JSON body and of the table."""

    @field_validator("path")
    @classmethod
    def not_all_of_it(cls, path: str, info: ValidationInfo) -> str:
        if path == "/" and info.data.get("path_match") is BoundPath.BELOW:
            raise refuse("Everything below / is the virtual host itself. For the home page alone, match exactly.")
        return path

    @field_validator("requires_login")
    @classmethod
    def something_is_behind_a_login(cls, requires: bool, info: ValidationInfo) -> bool:
        if requires and info.data.get("redirect", Redirect.NO) is not Redirect.NO:
            raise refuse("Redirects are sent without asking for a login. Clear this, or choose no redirect.")
        return requires

    @field_validator("enforcement_mode")
    @classmethod
    def some_difference(cls, mode: EnforcementMode | None, info: ValidationInfo) -> EnforcementMode | None:
        others = info.data.get("redirect", ""), info.data.get("policy_id", ""), info.data.get("requires_login", "")
        is_readable = info.data.keys() >= DELIVERY
        if mode is None and others == (Redirect.NO, None, False) and is_readable and not is_different(info.data):
            raise refuse(
                "Choose a policy, a mode, a redirect, a login, or delivery. Without any, the path is like the rest."
            )
        return mode

    @property
    def name(self) -> str:
        """`/login/…` for a path and everything below, `/login` for exactly that."""
        return self.path + "/…" * (self.path_match is BoundPath.BELOW)


DELIVERY = PathDeliveryColumns.model_fields.keys() | OwnHeadersFields.model_fields.keys()


class PathBindingInput(PathBindingFields):
    """What is sent: the fields, and what is said to a question."""

    save_anyway: bool | None = described("Save anyway", default=False, hint="Accept what the warnings say.")


class PathBinding(PathBindingColumns, VersionedRow, table=True):
    """A row. Its name is made of its fields."""

    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True)
    virtual_host_id: int | None = Field(
        default=None, foreign_key="virtualhost.id", ondelete="CASCADE", index=True, nullable=False
    )
    policy_id: int | None = Field(default=None, foreign_key="policy.id", index=True)
    error_page_id: int | None = Field(default=None, foreign_key="errorpage.id", index=True)
    name: str = Field(default="", max_length=510)
    own_headers: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)

    @property
    def has_delivery(self) -> bool:
        """Whether it has delivery of its own."""
        return is_different(self._delivery)

    @property
    def has_section(self) -> bool:
        """Whether HAProxy handles its requests in a section of their own."""
        return self.redirect is Redirect.NO and needs_section(self._delivery)

    @property
    def _delivery(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in DELIVERY}

    def replace(self, fields: PathBindingFields) -> Self:
        for name in (*PathBindingColumns.model_fields, "name"):
            setattr(self, name, getattr(fields, name))
        self.own_headers = [change.model_dump(mode="json") for change in fields.own_headers]
        return self


NOUN = Noun(
    "path_binding",
    "path_bindings",
    "Path binding",
    "Path bindings",
    PathBinding,
    PathBindingFields,
    "/virtual-hosts/{virtual_host_id}/paths",
    "vhosts/{virtual_host_id}/policy-bindings",
    "What some paths of a virtual host get that its other paths do not: a policy, a mode, a redirect, or servers.",
    {"path_match": "below", "path": "/api", "enforcement_mode": "detect_only"},
    parts=(Part("own_headers", change_in_words, known_by="header"),),
    references={"virtual_host_id": "virtual_host", "policy_id": "policy", "error_page_id": "error_page"},
    within="virtual_host_id",
    sent=PathBindingInput,
)
