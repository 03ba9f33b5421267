"""Policies as the React panel reads and writes them."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, Field

from guardpanel.api.react.custom_rules import CustomRuleDialect, ReactCustomRuleOut
from guardpanel.api.react.hidden import leave_out_hidden
from guardpanel.api.react.rule_exclusions import ExclusionDialect, ReactExclusionOut
from guardpanel.api.react.rule_overrides import OverrideDialect, ReactOverrideOut
from guardpanel.api.saves import Body
from guardpanel.api.shapes import Dialect, Row
from guardpanel.dependencies import SessionDep
from guardpanel.errors import Invalid
from guardpanel.models import Policy
from guardpanel.models.policies.countries import MOST_COUNTRIES, UNKNOWN
from guardpanel.models.policies.enforcement import EnforcementMode
from guardpanel.models.policies.policy_geo import GeoMode
from guardpanel.services import custom_rules, rule_exclusions, rule_overrides

EXCLUSIONS, OVERRIDES, CUSTOM_RULES = ExclusionDialect(), OverrideDialect(), CustomRuleDialect()

ROW = tuple(Row.model_fields)

MOST_RULES = 1_000
"Maximum rules of each kind in the response for one policy."

GeoipMode = Literal["off", "allowlist", "blocklist"]
GEOIP_MODES: dict[GeoMode, GeoipMode] = {
    GeoMode.OFF: "off", GeoMode.ALLOW_ONLY: "allowlist", GeoMode.REJECT: "blocklist"
}  # fmt: skip


NAMES = {
    "ddos_protection_enabled": "client_limits",
    "max_connections_per_ip": "requests_at_once",
    "auto_ban_enabled": "automatic_bans",
}
"The React panel's names for our fields."

GEOIP_NAMES = {"country_mode": "geoip_mode", "countries": "geoip_countries"}
"Its names beside ours: both may be sent."
UNSET: dict[str, Any] = {"country_mode": GeoMode.OFF, "countries": []}
"What they are in a new row."


class ReactPolicyIn(Body):
    """The keys of a write. Missing ones stay as they are (PATCH) or take their defaults (POST)."""

    NULLABLE = frozenset({"description"})

    mode: EnforcementMode | None = Field(default=None, description="The enforcement mode, including `off`.")
    is_active: bool | None = Field(
        default=None, description="false: enforcement mode `off`, whatever `enforcement_mode` says beside it."
    )
    paranoia_level: int | None = Field(
        default=None,
        description="`blocking_paranoia_level` under the React panel's name. The detection level follows, unless it was set by "
        "itself: then it is only raised if necessary.",
    )
    ddos_protection_enabled: bool | None = Field(
        default=None,
        description="Client limits, under the React panel's name: the three numbers act only if it is on. Sent as false, it "
        "makes numbers beyond their limits be ignored.",
    )
    max_connections_per_ip: int | None = Field(
        default=None, description="Requests at once by one client, under the React panel's name."
    )
    auto_ban_enabled: bool | None = Field(
        default=None,
        description="Automatic bans, under the React panel's name: after `ban_threshold` rejections. If it is "
        "left out, they go off with `ddos_protection_enabled`. Sent as true, they are on with or without client limits. Sent as "
        "false, it makes numbers of bans beyond their limits be ignored.",
    )
    geoip_mode: GeoipMode | None = Field(default=None, description="`country_mode` under the React panel's name.")
    geoip_countries: list[str] | None = Field(
        default=None,
        max_length=MOST_COUNTRIES,
        description="`countries` under the React panel's name, without `--`, which stays until the mode is the other list.",
    )


class ReactPolicyOut(Row):
    description: str | None
    mode: EnforcementMode = Field(description="The actual enforcement mode, including `off`.")
    enforcement_mode: Literal["block", "detect_only"] = Field(
        description="For the React panel, which has no `off`: reported as `detect_only` with `is_active: false`."
    )
    is_active: bool
    paranoia_level: int
    ddos_protection_enabled: bool
    max_connections_per_ip: int
    auto_ban_enabled: bool
    geoip_mode: GeoipMode
    geoip_countries: list[str]


class RuleLists(BaseModel):
    """With the lists of its rules."""

    rule_overrides: list[ReactOverrideOut]
    rule_exclusions: list[ReactExclusionOut]
    custom_rules: list[ReactCustomRuleOut]


class PolicyDialect(Dialect):
    body: ClassVar[type[Body]] = ReactPolicyIn
    answer: ClassVar[type[BaseModel]] = ReactPolicyOut
    whole: ClassVar[type[BaseModel]] = RuleLists
    renamed: ClassVar[Mapping[str, str]] = NAMES

    def take(self, body: BaseModel, row: Policy | None, now: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        sent = body.model_dump(exclude_unset=True)
        read = now | self.out(row) if row else {}
        names = names_in(body)
        leave_out_hidden(sent, row)
        take_level(sent, now, read)
        take_mode(sent, read)
        sent |= {ours: sent.pop(theirs) for theirs, ours in NAMES.items() if theirs in sent}
        names |= take_countries(sent, now)
        if sent.get("description", "") is None:
            sent["description"] = ""
        return {**now, **sent}, names

    def out(self, row: Policy) -> dict[str, Any]:
        return {
            **{theirs: getattr(row, ours) for theirs, ours in NAMES.items()},
            **shown_mode(row.enforcement_mode),
            "description": row.description or None,
            "paranoia_level": row.blocking_paranoia_level,
            "geoip_mode": GEOIP_MODES[row.country_mode],
            "geoip_countries": without_unknown(row.countries),
        }

    async def out_whole(self, session: SessionDep, row: Policy) -> dict[str, Any]:
        overrides = await rule_overrides.ROWS.under(row.id or 0).page(session, limit=MOST_RULES)
        exclusions = await rule_exclusions.ROWS.under(row.id or 0).page(session, limit=MOST_RULES)
        own = await custom_rules.ROWS.under(row.id or 0).page(session, limit=MOST_RULES)
        return {
            "rule_overrides": [_out(override, OVERRIDES) for override in overrides.items],
            "rule_exclusions": [_out(exclusion, EXCLUSIONS) for exclusion in exclusions.items],
            "custom_rules": [_out(rule, CUSTOM_RULES) for rule in own.items],
        }


def _out(row: Any, dialect: Dialect) -> dict[str, Any]:
    return {**{name: getattr(row, name) for name in ROW}, **dialect.out(row)}


def take_level(sent: dict[str, Any], now: dict[str, Any], read: dict[str, Any]) -> None:
    """Set both paranoia levels from `paranoia_level`. Ignored if it is as it was read."""
    level = sent.pop("paranoia_level", None)
    if level in {None, read.get("paranoia_level")}:
        return
    if sent.get("blocking_paranoia_level") == read.get("blocking_paranoia_level"):
        sent.pop("blocking_paranoia_level", None)
    if sent.setdefault("blocking_paranoia_level", level) != level:
        raise Invalid.at("paranoia_level", "paranoia_level differs from blocking_paranoia_level. Send one of the two.")
    sent.setdefault("detection_paranoia_level", max(level, detection_alone(now)))


def detection_alone(now: dict[str, Any]) -> int:
    """The detection level if it was set by itself, else the lowest: the React panel knows one level only."""
    detection = int(now.get("detection_paranoia_level", 1))
    return 1 if detection == now.get("blocking_paranoia_level", detection) else detection


def take_countries(sent: dict[str, Any], now: dict[str, Any]) -> dict[str, str]:
    """Which countries, by the React panel's keys. What is as it was read says nothing. Returns the names that count."""
    mode, countries = sent.pop("geoip_mode", None), sent.pop("geoip_countries", None)
    before = now.get("countries", [])
    choice: dict[str, Any] = {}
    if mode is not None:
        choice["country_mode"] = next(own for own, theirs in GEOIP_MODES.items() if theirs == mode)
    was, is_now = now.get("country_mode"), choice.get("country_mode", now.get("country_mode"))
    if countries is None and is_now not in {was, GeoMode.OFF}:
        countries = without_unknown(before)
    if countries is not None:
        is_same = countries == without_unknown(before) and is_now in {was, GeoMode.OFF}
        # Unknown ones that an allowlist let in would be rejected by a blocklist.
        unknown = [code for code in before if code == UNKNOWN and is_now == was]
        choice["countries"] = before if is_same else [*countries, *unknown]
    for ours, value in choice.items():
        _take_twin(sent, now.get(ours, UNSET[ours]), ours, value)
    return {ours: GEOIP_NAMES[ours] for ours in choice if ours not in sent or sent[ours] == choice[ours]}


def _take_twin(sent: dict[str, Any], before: object, ours: str, value: object) -> None:
    if value == before:
        return
    if ours in sent and sent[ours] == before:
        del sent[ours]
    if sent.setdefault(ours, value) != value:
        theirs = GEOIP_NAMES[ours]
        raise Invalid.at(theirs, f"{theirs} contradicts {ours}. Send one of the two.")


def without_unknown(codes: list[str]) -> list[str]:
    """The React panel knows none but real countries."""
    return [code for code in codes if code != UNKNOWN]


MODE_KEYS: tuple[str, ...] = ("mode", "enforcement_mode", "is_active")


def take_mode(sent: dict[str, Any], read: dict[str, Any]) -> None:
    """The enforcement mode from the keys that determine it. Those that differ from what was read count, and must agree: but the
    React panel's form deactivates a policy beside any mode."""
    mode_keys = {name: sent.pop(name) for name in MODE_KEYS if name in sent}
    new = {name: value for name, value in mode_keys.items() if value != read.get(name)}
    if new.get("is_active") is False and "mode" not in new:
        new.pop("enforcement_mode", None)
    if not new:
        return
    mode = chosen_mode(mode_keys, new)
    for name, value in new.items():
        if value not in {mode, shown_mode(mode)[name]}:
            raise Invalid.at(name, f"{name} contradicts the mode {mode.value} set by another key.")
    sent["enforcement_mode"] = mode


def chosen_mode(mode_keys: dict[str, Any], new: dict[str, Any]) -> EnforcementMode:
    if "mode" in new:
        return EnforcementMode(new["mode"])
    if mode_keys.get("is_active") is False:
        return EnforcementMode.OFF
    return EnforcementMode(new.get("enforcement_mode", EnforcementMode.DETECT_ONLY))


def names_in(body: BaseModel) -> dict[str, str]:
    """The names that this body uses for our fields."""
    sent = body.model_fields_set
    levels = ("blocking_paranoia_level", "detection_paranoia_level") if "paranoia_level" in sent else ()
    levels_named = {ours: "paranoia_level" for ours in levels if ours not in sent}
    return levels_named | {ours: theirs for theirs, ours in NAMES.items() if theirs in sent}


def shown_mode(mode: EnforcementMode) -> dict[str, Any]:
    """As reads return it."""
    off = mode is EnforcementMode.OFF
    return {"mode": mode, "enforcement_mode": "detect_only" if off else mode.value, "is_active": not off}
