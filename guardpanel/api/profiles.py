"""Application profiles on a virtual host as JSON."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from guardpanel.api.saves import Body, DeploymentOut, SaveRequestDep
from guardpanel.dependencies import PanelDep, RowId, SessionDep, Viewer
from guardpanel.errors import NotFound
from guardpanel.models.rules.rule_exclusion import RuleExclusion
from guardpanel.services.input import validated
from guardpanel.services.profiles.applying import Offer, apply, offers, remove
from guardpanel.services.profiles.catalogue import profiles
from guardpanel.services.profiles.choice import ProfileChoice
from guardpanel.services.rules.exclusion_words import reach

router = APIRouter(prefix="/api/v1/vhosts/{virtual_host_id}/profiles", tags=["vhosts"])


class ExclusionOut(BaseModel):
    reason: str
    sentence: str = Field(description="What it does.")
    policy_id: int = Field(description="Its policy: the one that its paths have.")


class ProfileOut(BaseModel):
    profile: str
    name: str
    about: str
    prices: list[str] = Field(description="What is no longer blocked.")
    version: int
    crs_version: str = Field(description="Of OWASP CRS, with which this version was verified.")
    path: str = Field(description="Where it is applied; empty: the whole site.")
    applied_version: int | None
    added: list[ExclusionOut] = Field(description="What applying it adds. With `applied_version`, that is an update.")
    removed: list[ExclusionOut]
    applied: list[ExclusionOut]


class ProfileBody(Body):
    profile: str
    path: str = Field(
        default="", description="Where the application is, for example `/blog`. If empty, the whole site."
    )


class ProfileSaved(BaseModel):
    profile: str
    path: str
    version: int
    deployment: DeploymentOut


@router.get("")
async def list_virtual_host_profiles(
    virtual_host_id: RowId, panel: PanelDep, session: SessionDep, _user: Viewer
) -> list[ProfileOut]:
    """All application profiles: those that are applied, with their updates, then the others."""
    return [_out(offer) for offer in await offers(session, panel.engines, virtual_host_id)]


@router.post("", status_code=201)
async def apply_virtual_host_profile(
    virtual_host_id: RowId, body: ProfileBody, panel: PanelDep, request: SaveRequestDep
) -> ProfileSaved:
    """Add the rule exclusions of a profile, or update them: one save."""
    choice = validated(ProfileChoice, body.model_dump())
    saved = await apply(panel.changes, request, virtual_host_id, choice)
    return ProfileSaved(
        profile=saved.value.profile, path=saved.value.prefix, version=saved.value.version,
        deployment=DeploymentOut.of(saved),
    )  # fmt: skip


@router.delete("/{profile}", status_code=204)
async def remove_virtual_host_profile(
    virtual_host_id: RowId,
    profile: str,
    panel: PanelDep,
    request: SaveRequestDep,
    path: str = "",
) -> None:
    """Delete all rule exclusions that the profile made there. `path`: where it is applied."""
    if profile not in profiles():
        raise NotFound("Application profile not found.")
    await remove(panel.changes, request, virtual_host_id, validated(ProfileChoice, {"profile": profile, "path": path}))


def _out(offer: Offer) -> ProfileOut:
    return ProfileOut(
        profile=offer.profile.key, name=offer.profile.name, about=offer.profile.about, prices=list(offer.profile.prices),
        version=offer.profile.version, crs_version=offer.profile.crs_version, path=offer.prefix, applied_version=offer.version,
        added=[_exclusion(row) for row in offer.plan.added],
        removed=[_exclusion(row) for row in offer.plan.removed],
        applied=[_exclusion(row) for row in offer.plan.kept],
    )  # fmt: skip


def _exclusion(row: RuleExclusion) -> ExclusionOut:
    return ExclusionOut(reason=row.reason, sentence=reach(row), policy_id=row.policy_id or 0)
