"""Policies as JSON: the React panel's keys, and ours beside them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from guardpanel.api.saves import (
    AskedDep,
    Body,
    DeploymentOut,
    NamedVersion,
    merging,
    refuse_unsupported,
    speaking,
    tag,
)
from guardpanel.dependencies import PanelDep, RowId, SessionDep, Viewer
from guardpanel.errors import Invalid
from guardpanel.models import Policy
from guardpanel.models.content_types import BodyReading
from guardpanel.models.policy import EnforcementMode, FailMode, OverLimit, PolicyFields, StreamedResponses
from guardpanel.services import policies
from guardpanel.services.changes import Saved
from guardpanel.services.input import validated

router = APIRouter(prefix="/api/v1/policies", tags=["policies"])

GeoipMode = Literal["off", "allowlist", "blocklist"]


class RateLimits(Body):
    """The React panel's keys for rate limits, bans and countries, which guardpanel does not have yet: only what reads give is
    accepted."""

    ddos_protection_enabled: bool | None = None
    rate_limit_requests: int | None = None
    rate_limit_window_seconds: int | None = None
    max_connections_per_ip: int | None = None
    auto_ban_enabled: bool | None = None
    ban_threshold: int | None = None
    ban_duration_seconds: int | None = None
    geoip_mode: GeoipMode | None = None
    geoip_countries: list[str] | None = Field(default=None, max_length=250)


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

    NULLABLE = frozenset({"description"})

    name: str | None = None
    description: str | None = None
    enforcement_mode: EnforcementMode | None = None
    mode: EnforcementMode | None = Field(default=None, description="The enforcement mode, also `off`.")
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
    argument_limit: int | None = Field(
        default=None, description="How many arguments the address, a form and the cookies may each have; more get 400."
    )
    json_value_limit: int | None = Field(default=None, description="How many values a JSON body may have.")
    over_limit: OverLimit | None = None
    upload_seconds: int | None = Field(
        default=None, description="A body may always take so many seconds, and longer as it comes at the least rate."
    )
    upload_rate_kib: int | None = Field(default=None, description="The least rate of a body, in KiB a second.")
    response_inspection: bool | None = None
    file_inspection: bool | None = Field(
        default=None, description="Whether uploaded files that say they are JSON or XML are read as such."
    )
    response_seconds: int | None = Field(
        default=None, description="For so many seconds at most a response is held back until it is complete."
    )
    streamed_responses: StreamedResponses | None = None
    fail_mode: FailMode | None = None
    allowed_methods: list[str] | None = None
    allowed_content_types: list[str] | None = Field(
        default=None, description="`*` stands for anything after the slash, as in `image/*`."
    )
    content_type_readings: list[str] | None = Field(
        default=None,
        description="How bodies are read, where not as guardpanel does by default: `application/x-log = text`. "
        f"One of {', '.join(BodyReading)}; `binary` is not parsed unless it is text, `none` never.",
    )
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
    argument_limit: int
    json_value_limit: int
    over_limit: OverLimit
    upload_seconds: int
    upload_rate_kib: int
    response_inspection: bool
    file_inspection: bool
    response_seconds: int
    streamed_responses: StreamedResponses
    fail_mode: FailMode
    allowed_methods: list[str]
    allowed_content_types: list[str]
    content_type_readings: list[str]
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
    refuse_unsupported(given, LIMITS_OFF, "guardpanel does not support rate limits, bans and country filters yet.")
    now = policies.fields_of(policy).model_dump() if policy else {}
    read = out(policy) if policy else {}
    take_level(given, now, read)
    take_mode(given, read)
    if given.get("description", "") is None:
        given["description"] = ""
    return {**now, **given}


def take_level(given: dict[str, Any], now: dict[str, Any], read: dict[str, Any]) -> None:
    """`paranoia_level` as the two levels that there are. As it was read it says nothing."""
    level = given.pop("paranoia_level", None)
    if level in {None, read.get("paranoia_level")}:
        return
    if given.get("blocking_paranoia_level") == read.get("blocking_paranoia_level"):
        given.pop("blocking_paranoia_level", None)
    if given.setdefault("blocking_paranoia_level", level) != level:
        raise Invalid.at("paranoia_level", "paranoia_level differs from blocking_paranoia_level. Send one of the two.")
    given.setdefault("detection_paranoia_level", max(level, now.get("detection_paranoia_level", 1)))


MODE_KEYS: tuple[str, ...] = ("mode", "enforcement_mode", "is_active")


def take_mode(given: dict[str, Any], read: dict[str, Any]) -> None:
    """The enforcement mode from the keys that give it. Those that differ from what was read count, and must agree."""
    said = {name: given.pop(name) for name in MODE_KEYS if name in given}
    new = {name: value for name, value in said.items() if value != read.get(name)}
    if not new:
        return
    mode = chosen_mode(said, new)
    for name, value in new.items():
        if value not in {mode, shown_mode(mode)[name]}:
            raise Invalid.at(name, f"{name} contradicts the mode {mode.value}, which another key sets.")
    given["enforcement_mode"] = mode


def chosen_mode(said: dict[str, Any], new: dict[str, Any]) -> EnforcementMode:
    if "mode" in new:
        return EnforcementMode(new["mode"])
    if said.get("is_active") is False:
        return EnforcementMode.OFF
    return EnforcementMode(new.get("enforcement_mode", EnforcementMode.DETECT_ONLY))


def names_in(body: PolicyIn) -> dict[str, str]:
    """Our fields under the names that this body uses for them."""
    given = body.model_fields_set
    levels = ("blocking_paranoia_level", "detection_paranoia_level") if "paranoia_level" in given else ()
    return {ours: "paranoia_level" for ours in levels if ours not in given}


def saved_as(response: Response, saved: Saved[Policy]) -> PolicySaved:
    tag(response, saved.value.version)
    return PolicySaved(**out(saved.value), deployment=DeploymentOut.of(saved))


def out(policy: Policy) -> dict[str, Any]:
    """The keys of `PolicyOut`."""
    own = {name: getattr(policy, name) for name in PolicyOut.model_fields if name in Policy.model_fields}
    return {
        **own,
        **LIMITS_OFF,
        **shown_mode(policy.enforcement_mode),
        "description": policy.description or None,
        "paranoia_level": policy.blocking_paranoia_level,
    }


def shown_mode(mode: EnforcementMode) -> dict[str, Any]:
    """As reads give it."""
    off = mode is EnforcementMode.OFF
    return {"mode": mode, "enforcement_mode": "detect_only" if off else mode.value, "is_active": not off}
