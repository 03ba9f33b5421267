"""Policies as JSON: the React panel's keys, and ours beside them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from guardpanel.api.saves import AskedDep, DeploymentOut, NamedVersion, merging, not_yet, speaking, tag
from guardpanel.dependencies import PanelDep, RowId, SessionDep, Viewer
from guardpanel.errors import Invalid
from guardpanel.models import Policy
from guardpanel.models.policy import EnforcementMode, FailMode, OverLimit, PolicyFields
from guardpanel.services import policies
from guardpanel.services.changes import Saved
from guardpanel.services.input import validated

router = APIRouter(prefix="/api/v1/policies", tags=["policies"])

GeoipMode = Literal["off", "allowlist", "blocklist"]


class RateLimits(BaseModel):
    """The React panel's keys for rate limits, bans and countries. They must be off: that comes later. Their numbers
    are taken and, since they are off, not kept."""

    ddos_protection_enabled: bool | None = None
    rate_limit_requests: int | None = None
    rate_limit_window_seconds: int | None = None
    max_connections_per_ip: int | None = None
    auto_ban_enabled: bool | None = None
    ban_threshold: int | None = None
    ban_duration_seconds: int | None = None
    geoip_mode: GeoipMode | None = None
    geoip_countries: list[str] | None = Field(default=None, max_length=250)


SWITCHES = ("ddos_protection_enabled", "auto_ban_enabled", "geoip_mode")

LIMITS_OFF: dict[str, Any] = {
    "ddos_protection_enabled": False,
    "rate_limit_requests": 100,
    "rate_limit_window_seconds": 10,
    "max_connections_per_ip": 20,
    "auto_ban_enabled": False,
    "ban_threshold": 10,
    "ban_duration_seconds": 600,
    "geoip_mode": "off",
    "geoip_countries": [],
}
"What reads say of them: the original's defaults."


class PolicyIn(RateLimits):
    """What a write may name; what it leaves out stays as it is (PATCH) or takes its default (POST)."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    description: str | None = None
    enforcement_mode: EnforcementMode | None = None
    mode: EnforcementMode | None = Field(default=None, description="`enforcement_mode` as reads give it; it wins.")
    is_active: bool | None = Field(default=None, description="false: enforcement mode `off`.")
    paranoia_level: int | None = Field(
        default=None,
        description="`blocking_paranoia_level` by the React panel's name; the detection level follows where it has to.",
    )
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
    masked_fields: list[str] | None = Field(
        default=None, description="Names of fields, headers and cookies whose values events do not show."
    )


class PolicyOut(BaseModel):
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
    masked_fields: list[str]
    ddos_protection_enabled: bool
    rate_limit_requests: int
    rate_limit_window_seconds: int
    max_connections_per_ip: int
    auto_ban_enabled: bool
    ban_threshold: int
    ban_duration_seconds: int
    geoip_mode: GeoipMode
    geoip_countries: list[str]
    created_at: datetime
    updated_at: datetime


class PolicyRead(PolicyOut):
    """With the rule lists that a later version fills."""

    rule_overrides: list[dict[str, Any]]
    rule_exclusions: list[dict[str, Any]]
    custom_rules: list[dict[str, Any]]


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
async def create_policy(body: PolicyIn, response: Response, panel: PanelDep, asked: AskedDep) -> PolicySaved:
    """Add one and make it live."""
    with speaking(names_in(body)):
        fields = validated(PolicyFields, merged(None, body))
        saved = await policies.create(panel.changes, asked, fields)
    return saved_as(response, saved)


@router.get("/{policy_id}")
async def read_policy(policy_id: RowId, response: Response, session: SessionDep, _user: Viewer) -> PolicyRead:
    policy = await policies.find(session, policy_id)
    tag(response, policy.version)
    return PolicyRead(**out(policy), rule_overrides=[], rule_exclusions=[], custom_rules=[])


@router.patch("/{policy_id}")
async def update_policy(
    policy_id: RowId, body: PolicyIn, response: Response, panel: PanelDep, asked: AskedDep, version: NamedVersion
) -> PolicySaved:
    """Change the named keys and make that live."""

    async def attempt() -> Saved[Policy]:
        async with panel.database.read() as session:
            policy = await policies.find(session, policy_id)
        fields = validated(PolicyFields, merged(policy, body))
        read = policy.version if version is None else version
        return await policies.update(panel.changes, asked, policy_id, fields, read)

    with speaking(names_in(body)):
        saved = await merging(attempt, version)
    return saved_as(response, saved)


@router.delete("/{policy_id}", status_code=204)
async def delete_policy(policy_id: RowId, panel: PanelDep, asked: AskedDep, version: NamedVersion) -> None:
    """409 while virtual hosts use it."""
    await policies.delete(panel.changes, asked, policy_id, version)


def merged(policy: Policy | None, body: PolicyIn) -> dict[str, Any]:
    """The fields as they would be: the named keys over what is there, the React panel's keys as ours."""
    given = body.model_dump(exclude_unset=True)
    refuse_limits(given)
    now = policies.fields_of(policy).model_dump() if policy else {}
    level = given.pop("paranoia_level", ...)
    if level is not ...:
        given.setdefault("blocking_paranoia_level", level)
        detection = now.get("detection_paranoia_level", 1)
        given.setdefault("detection_paranoia_level", max(level or 1, detection))
    if "mode" in given:
        given["enforcement_mode"] = given.pop("mode")
    active = given.pop("is_active", None)
    if active is False:
        given["enforcement_mode"] = EnforcementMode.OFF
    elif active and now.get("enforcement_mode") is EnforcementMode.OFF:
        given.setdefault("enforcement_mode", EnforcementMode.DETECT_ONLY)
    if given.get("description", "") is None:
        given["description"] = ""
    return {**now, **given}


def refuse_limits(given: dict[str, Any]) -> None:
    """Drops the React panel's keys for rate limits, bans and countries, which must be off: that comes later."""
    wanted = [name for name in SWITCHES if given.get(name) not in {None, False, "off"}]
    for name in RateLimits.model_fields:
        given.pop(name, None)
    if wanted:
        raise Invalid(
            "guardpanel has no rate limits, bans and countries yet. Leave them off.",
            not_yet("This cannot be done yet.", *wanted),
        )


def names_in(body: PolicyIn) -> dict[str, str]:
    """Our fields under the names that this body uses for them."""
    given = body.model_fields_set
    names = {}
    if "paranoia_level" in given:
        names = {
            ours: "paranoia_level"
            for ours in ("blocking_paranoia_level", "detection_paranoia_level")
            if ours not in given
        }
    if "mode" in given:
        names["enforcement_mode"] = "mode"
    return names


def saved_as(response: Response, saved: Saved[Policy]) -> PolicySaved:
    tag(response, saved.value.version)
    return PolicySaved(**out(saved.value), deployment=DeploymentOut.of(saved))


def out(policy: Policy) -> dict[str, Any]:
    """The keys of `PolicyOut`."""
    own = {name: getattr(policy, name) for name in PolicyOut.model_fields if name in Policy.model_fields}
    off = policy.enforcement_mode is EnforcementMode.OFF
    return {
        **own,
        **LIMITS_OFF,
        "description": policy.description or None,
        "mode": policy.enforcement_mode,
        "enforcement_mode": "detect_only" if off else policy.enforcement_mode.value,
        "is_active": not off,
        "paranoia_level": policy.blocking_paranoia_level,
    }
