"""Where a policy's visitors may come from: countries, and networks by their number (ASN)."""

from pydantic import ValidationInfo, field_validator
from sqlalchemy import JSON

from guardpanel.models.meta import Choice, described
from guardpanel.models.policies.countries import UNKNOWN, Countries, Networks
from guardpanel.models.policies.policy_limits import LimitFields
from guardpanel.models.refusing import refuse
from guardpanel.models.types import stored


class GeoMode(Choice):
    OFF = "off", "Off"
    ALLOW_ONLY = "allow_only", "Allow only those below"
    REJECT = "reject", "Reject those below"


class GeoFields(LimitFields):
    """Fields of a policy. A list stays while its choice is off."""

    countries: Countries = described(
        "Countries",
        default_factory=list,
        sa_type=JSON,
        hint=f"One code of 2 letters per line, for example DE. {UNKNOWN} stands for unknown, which includes private addresses.",
    )
    country_mode: GeoMode = described(
        "Visitors by country",
        GeoMode.OFF,
        sa_type=stored(GeoMode),
        hint="In mode Block, visitors who are kept out get 403. In Detect only, they are events. Allow lists come first.",
    )
    asns: Networks = described(
        "Networks",
        default_factory=list,
        sa_type=JSON,
        hint=f"One number of an autonomous system per line, for example AS64500. {UNKNOWN} stands for unknown.",
    )
    asn_mode: GeoMode = described(
        "Visitors by network",
        GeoMode.OFF,
        sa_type=stored(GeoMode),
        hint="By the provider that announces the address: hosting companies, for example.",
    )

    @field_validator("country_mode")
    @classmethod
    def countries_are_named(cls, mode: GeoMode, info: ValidationInfo) -> GeoMode:
        if mode is not GeoMode.OFF and info.data.get("countries") == []:
            raise refuse("Enter at least one country below, or choose Off.")
        return mode

    @field_validator("asn_mode")
    @classmethod
    def networks_are_named(cls, mode: GeoMode, info: ValidationInfo) -> GeoMode:
        if mode is not GeoMode.OFF and info.data.get("asns") == []:
            raise refuse("Enter at least one network below, or choose Off.")
        return mode


def rejects(mode: GeoMode, named: list[str], value: str) -> bool:
    """Whether visitors from there are kept out."""
    match mode:
        case GeoMode.ALLOW_ONLY:
            return value not in named
        case GeoMode.REJECT:
            return value in named
    return False
