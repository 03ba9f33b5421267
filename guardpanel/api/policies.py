"""Policies as JSON: the React panel's keys, and ours beside them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from guardpanel.api.saves import DeploymentOut, NamedVersion, tag
from guardpanel.dependencies import Editor, PanelDep, SessionDep, Viewer
from guardpanel.errors import FieldError, Invalid
from guardpanel.models import Policy
from guardpanel.models.policy import EnforcementMode, FailMode, OverLimit, PolicyFields
from guardpanel.services import policies
from guardpanel.services.input import validated

router = APIRouter(prefix="/policies", tags=["policies"])

NOT_YET = "guardpanel cannot do this yet; leave it off."


class RateLimits(BaseModel):
    """The React panel's keys for rate limits, bans and countries. They must be off: that comes later."""

    ddos_protection_enabled: bool = False
    rate_limit_requests: int = 100
    rate_limit_window_seconds: int = 10
    max_connections_per_ip: int = 20
    auto_ban_enabled: bool = False
    ban_threshold: int = 10
    ban_duration_seconds: int = 600
    geoip_mode: Literal["off", "allowlist", "blocklist"] = "off"
    geoip_countries: list[str] = []


class PolicyIn(RateLimits):
    """What a write may name; what it leaves out stays as it is (PATCH) or takes its default (POST)."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    description: str | None = None
    enforcement_mode: EnforcementMode | None = None
    is_active: bool | None = Field(default=None, description="false: enforcement mode `off`.")
    paranoia_level: int | None = Field(default=None, description="`blocking_paranoia_level` by the React panel's name.")
    blocking_paranoia_level: int | None = None
    detection_paranoia_level: int | None = None
    inbound_anomaly_threshold: int | None = None
    outbound_anomaly_threshold: int | None = None
    body_limit_kib: int | None = None
    over_limit: OverLimit | None = None
    response_inspection: bool | None = None
    fail_mode: FailMode | None = None
    allowed_methods: list[str] | None = None
    allowed_content_types: list[str] | None = None
    skip_paths: list[str] | None = None


class PolicyOut(RateLimits):
    id: int
    version: int = Field(description="Counts edits; the ETag.")
    name: str
    description: str | None
    mode: EnforcementMode = Field(description="The enforcement mode as it is, also `off`.")
    enforcement_mode: Literal["block", "detect_only"] = Field(
        description="For the React panel, which knows no `off`: that is `detect_only` with `is_active` false."
    )
    is_active: bool
    paranoia_level: int
    blocking_paranoia_level: int
    detection_paranoia_level: int
    inbound_anomaly_threshold: int
    outbound_anomaly_threshold: int
    body_limit_kib: int
    over_limit: OverLimit
    response_inspection: bool
    fail_mode: FailMode
    allowed_methods: list[str]
    allowed_content_types: list[str]
    skip_paths: list[str]
    created_at: datetime
    updated_at: datetime


class PolicyRead(PolicyOut):
    """With the rule lists that a later version fills."""

    rule_overrides: list[dict[str, Any]] = []
    rule_exclusions: list[dict[str, Any]] = []
    custom_rules: list[dict[str, Any]] = []


class PolicySaved(PolicyOut):
    deployment: DeploymentOut


class PolicyPage(BaseModel):
    items: list[PolicyOut]
    total: int = Field(description="All that match, before paging.")
    page: int
    per_page: int


@router.get("")
async def list_policies(
    session: SessionDep,
    _user: Viewer,
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
    per_page: Annotated[int, Query(ge=1, le=500)] = 50,
    q: Annotated[str, Query(max_length=200)] = "",
) -> PolicyPage:
    """By name; `q` looks in names and descriptions."""
    found = await policies.page(session, q=q, offset=(page - 1) * per_page, limit=per_page)
    items = [PolicyOut(**out(policy)) for policy in found.items]
    return PolicyPage(items=items, total=found.total, page=page, per_page=per_page)


@router.post("", status_code=201)
async def create_policy(body: PolicyIn, response: Response, panel: PanelDep, user: Editor) -> PolicySaved:
    """Add one and make it live."""
    saved = await policies.create(panel.changes, user.email, validated(PolicyFields, merged({}, body)))
    tag(response, saved.value.version)
    return PolicySaved(**out(saved.value), deployment=DeploymentOut.of(saved))


@router.get("/{policy_id}")
async def read_policy(policy_id: int, response: Response, session: SessionDep, _user: Viewer) -> PolicyRead:
    policy = await policies.find(session, policy_id)
    tag(response, policy.version)
    return PolicyRead(**out(policy))


@router.patch("/{policy_id}")
async def update_policy(
    policy_id: int, body: PolicyIn, response: Response, panel: PanelDep, session: SessionDep, user: Editor,
    version: NamedVersion,
) -> PolicySaved:  # fmt: skip
    """Change the named keys and make that live."""
    policy = await policies.find(session, policy_id)
    fields = validated(PolicyFields, merged(policies.fields_of(policy).model_dump(), body))
    # What is merged was read outside the save: without If-Match, this read is what the caller answers for.
    saved = await policies.update(panel.changes, user.email, policy_id, fields, policy.version if version is None else version)
    tag(response, saved.value.version)
    return PolicySaved(**out(saved.value), deployment=DeploymentOut.of(saved))


@router.delete("/{policy_id}", status_code=204)
async def delete_policy(policy_id: int, panel: PanelDep, user: Editor, version: NamedVersion) -> None:
    """409 while virtual hosts use it."""
    await policies.delete(panel.changes, user.email, policy_id, version)


def merged(now: dict[str, Any], body: PolicyIn) -> dict[str, Any]:
    """The fields as they would be: the named keys over what is there, the React panel's keys as ours."""
    given = body.model_dump(exclude_unset=True)
    errors = {
        name: FieldError(NOT_YET) for name in ("ddos_protection_enabled", "auto_ban_enabled", "geoip_mode")
        if given.get(name) not in {None, False, "off"}
    }  # fmt: skip
    if errors:
        raise Invalid("Rate limits, bans and countries are not there yet.", errors)
    for name in RateLimits.model_fields:
        given.pop(name, None)
    level = given.pop("paranoia_level", None)
    if level is not None:
        given.setdefault("blocking_paranoia_level", level)
        given.setdefault("detection_paranoia_level", max(level, now.get("detection_paranoia_level", 1)))
    active = given.pop("is_active", None)
    if active is False:
        given["enforcement_mode"] = EnforcementMode.OFF
    if given.get("description", "") is None:
        given["description"] = ""
    if not now:
        given.setdefault("enforcement_mode", EnforcementMode.BLOCK)
    return {**now, **{name: value for name, value in given.items() if value is not None}}


def out(policy: Policy) -> dict[str, Any]:
    """The keys of `PolicyOut`."""
    own = {name: getattr(policy, name) for name in PolicyOut.model_fields if name in Policy.model_fields}
    off = policy.enforcement_mode is EnforcementMode.OFF
    return {
        **own,
        "description": policy.description or None,
        "mode": policy.enforcement_mode,
        "enforcement_mode": "detect_only" if off else str(policy.enforcement_mode),
        "is_active": not off,
        "paranoia_level": policy.blocking_paranoia_level,
    }
