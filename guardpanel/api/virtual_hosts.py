"""Virtual hosts as JSON."""

from pydantic import BaseModel

from guardpanel.api import nouns
from guardpanel.api.react.virtual_hosts import VirtualHostDialect
from guardpanel.dependencies import RowId, SessionDep, Viewer
from guardpanel.models.virtual_host import NOUN
from guardpanel.services import virtual_hosts


class VirtualHostQuery(nouns.ListQuery):
    policy_id: int | None = None


router = nouns.rows(
    NOUN,
    virtual_hosts,
    VirtualHostDialect(),
    query=VirtualHostQuery,
    looks_in="names, hostnames, servers and policies",
)


class HeirOut(BaseModel):
    """A hostname, and another virtual host's wildcard that takes it over."""

    hostname: str
    wildcard: str
    virtual_host_id: int


@router.get("/{virtual_host_id}/heirs")
async def list_virtual_host_heirs(virtual_host_id: RowId, session: SessionDep, _user: Viewer) -> list[HeirOut]:
    """The hostnames that wildcards of other virtual hosts take over when this one is deleted. Its other hostnames are unknown
    then: 421, unless a virtual host has `answers_unknown`. While it is only disabled (`is_active`), all of them do."""
    host = await virtual_hosts.find(session, virtual_host_id)
    return [
        HeirOut(hostname=heir.name.name, wildcard=heir.wildcard.name, virtual_host_id=heir.virtual_host.id or 0)
        for heir in await virtual_hosts.heirs(session, host)
    ]
