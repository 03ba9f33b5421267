"""Bans as JSON, and as the React panel asks for them."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from guardpanel.api.deprecated import replaced_by
from guardpanel.api.paging import Paged, Paging
from guardpanel.api.saves import Body, SaveRequestDep
from guardpanel.dependencies import Editor, PanelDep, RowId, SessionDep, Viewer
from guardpanel.models import Ban
from guardpanel.models.access.ban import LATEST, BanFields, BanLength
from guardpanel.services.access import bans
from guardpanel.services.access.bans import Outcome
from guardpanel.services.input import validated

router = APIRouter(tags=["bans"])

MOST = 10_000


class BanOut(BaseModel):
    id: int
    network: str
    ends_at: datetime | None = Field(description="Null: never.")
    reason: str
    origin: str = Field(description="What banned it: `hand` or `automatic`.")
    created_by: str
    created_at: datetime

    @classmethod
    def of(cls, ban: Ban) -> "BanOut":
        return cls(**{name: getattr(ban, name) for name in cls.model_fields})


class BanChanged(BanOut):
    is_live: bool = Field(description="False: HAProxy does not respond. It is live as soon as HAProxy does.")


class BanPage(Paged):
    items: list[BanOut]


class BanQuery(Paging):
    q: str = Field(default="", max_length=200)


class BanIn(Body):
    network: str = Field(description="An IP address or a network.")
    length: BanLength = BanLength.HOUR
    until: str | None = Field(default=None, description="If `length` is `until`, in UTC unless it has a time zone.")
    reason: str = ""

    NULLABLE = frozenset({"until"})


CONFIRM = Query(description="Ban it even if it contains your own address, or that of a server or of this machine.")


@router.get("/api/v1/bans", name="list_bans")
async def list_bans(session: SessionDep, _user: Viewer, listing: Annotated[BanQuery, Query()]) -> BanPage:
    """Bans in effect, newest first. `q` looks in networks, reasons and authors."""
    page = await bans.active(session, q=listing.q, **listing.portion)
    return BanPage(items=[BanOut.of(ban) for ban in page.items], **listing.counts(page))


@router.post("/api/v1/bans", name="create_ban", status_code=201)
async def create_ban(
    body: BanIn, panel: PanelDep, save_request: SaveRequestDep, confirm: Annotated[bool, CONFIRM] = False
) -> BanChanged:
    """Ban an address or a network, live immediately, without a reload."""
    fields = validated(BanFields, body.model_dump() | {"save_anyway": confirm})
    return _changed(await panel.bans.add(panel.changes, fields, who=save_request.who, client=save_request.client))


@router.delete("/api/v1/bans/{ban_id}", name="lift_ban")
async def lift_ban(ban_id: RowId, panel: PanelDep, user: Editor) -> BanChanged:
    return _changed(await panel.bans.lift(ban_id, who=user.email))


def _changed(outcome: Outcome) -> BanChanged:
    return BanChanged(**BanOut.of(outcome.ban).model_dump(), is_live=outcome.is_live)


class BannedIp(BaseModel):
    """Keys of the React panel, which shows each as it is. Nothing is counted for a ban that was made by hand."""

    banned: bool = True
    ip: str
    vhost_id: int | None = None
    domain: str = Field(default="all virtual hosts", description="What it holds on, in words.")
    gpc0: int = Field(description="Requests counted when it was made.")
    ban_threshold: int = Field(description="How many the policy allowed then.")
    expires_in_seconds: int = Field(description="Of a ban without an end: until the year 2200.")


class BannedIps(BaseModel):
    items: list[BannedIp]


class Cleared(BaseModel):
    ip: str
    cleared: bool


@router.get("/api/v1/security/banned-ips", name="list_banned_ips", **replaced_by("/api/v1/bans"))
async def list_banned_ips(panel: PanelDep, _user: Editor) -> BannedIps:
    """Banned addresses, for administrators, without pages. Other clients use `GET /api/v1/bans`."""
    now = datetime.now(UTC)
    async with panel.database.read() as session:
        rows = (await bans.active(session, limit=MOST)).items
    return BannedIps(items=[_banned_ip(ban, now) for ban in rows])


def _banned_ip(ban: Ban, now: datetime) -> BannedIp:
    left = (ban.ends_at or LATEST) - now
    return BannedIp(
        ip=ban.network,
        gpc0=ban.violations,
        ban_threshold=ban.threshold,
        expires_in_seconds=int(left.total_seconds()),
    )


@router.delete("/api/v1/security/banned-ips/{ip:path}", name="lift_banned_ip", **replaced_by("/api/v1/bans"))
async def lift_banned_ip(ip: str, panel: PanelDep, user: Editor) -> Cleared:
    """Lift the ban of this address or network. Other clients use `DELETE /api/v1/bans/{ban_id}`."""
    return Cleared(ip=ip, cleared=await panel.bans.lift_network(ip, who=user.email))
