"""Path bindings as JSON."""

from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, Field

from guardpanel.api import nouns
from guardpanel.api.react.path_bindings import BindingDialect
from guardpanel.api.saves import Body, DeploymentOut, SaveRequestDep
from guardpanel.dependencies import PanelDep, RowId
from guardpanel.models.path_binding import NOUN
from guardpanel.services import path_bindings, server_states

router = nouns.rows(NOUN, path_bindings, BindingDialect(), looks_in="paths and notes")


class PathServerStateIn(Body):
    server: str = Field(max_length=500, description="The URL of one of its own servers, as `own_servers` has it.")
    state: server_states.State = Field(
        description="`draining`: no new requests (HAProxy’s `drain`). `disabled`: no requests and no checks (`maint`)."
    )


class PathServerStateSaved(BaseModel):
    server: str
    state: server_states.State
    deployment: DeploymentOut


@router.put("/{path_binding_id}/servers/state", name="set_path_server_state")
async def set_server_state(
    virtual_host_id: Annotated[RowId, Path(alias="virtual_host_id")],
    path_binding_id: RowId,
    body: PathServerStateIn,
    panel: PanelDep,
    save_request: SaveRequestDep,
) -> PathServerStateSaved:
    """Take one of its own servers out, or back, and go live without a reload. 409 if none would take requests then."""
    place = virtual_host_id, path_binding_id
    saved = await server_states.choose_of_path(panel.changes, save_request, *place, body.server, body.state)
    return PathServerStateSaved(server=body.server, state=body.state, deployment=DeploymentOut.of(saved))
