"""API tokens as JSON: for people, since no token makes another one."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from guardpanel.api.documented import also
from guardpanel.api.paging import Paged, Paging
from guardpanel.api.saves import Body
from guardpanel.dependencies import Administrator, PanelDep, RowId, SessionDep
from guardpanel.models.api_token import ApiTokenFields, TokenLife, TokenRole
from guardpanel.services.accounts import api_tokens
from guardpanel.services.input import validated
from guardpanel.services.paging import cut

router = APIRouter(prefix="/api/v1/tokens", tags=["tokens"], responses=also(403))


class ApiTokenOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    role: TokenRole
    requires_if_match: bool
    created_by: str
    created_at: datetime
    expires_at: datetime | None = Field(description="Null: never.")
    used_at: datetime | None = Field(description="To within a minute. Null: not yet.")


class NewApiTokenOut(ApiTokenOut):
    token: str = Field(description="Send it as `Authorization: Bearer`. It is not returned again.")


class ApiTokenPage(Paged):
    items: list[ApiTokenOut]


class ApiTokenIn(Body):
    name: str = Field(max_length=100, description="The author of its changes.")
    role: TokenRole = TokenRole.READ
    life: TokenLife = TokenLife.QUARTER
    requires_if_match: bool = Field(
        default=False, description="Changes and deletions of rows without If-Match get 428."
    )


@router.get("", name="list_tokens")
async def list_tokens(session: SessionDep, _user: Administrator, listing: Annotated[Paging, Query()]) -> ApiTokenPage:
    """API tokens by name, with expired ones."""
    page = cut(await api_tokens.all_tokens(session), api_tokens.key_of, **listing.portion)
    return ApiTokenPage(items=[ApiTokenOut.model_validate(token) for token in page.items], **listing.counts(page))


@router.post("", name="create_token", status_code=201, responses=also(409))
async def create_token(body: ApiTokenIn, panel: PanelDep, user: Administrator) -> NewApiTokenOut:
    """Create a token. Only this response has its `token`."""
    fields = validated(ApiTokenFields, body.model_dump())
    token, secret = await panel.accounts.api_tokens.create(fields, user.email)
    return NewApiTokenOut(**ApiTokenOut.model_validate(token).model_dump(), token=secret)


@router.delete("/{token_id}", name="revoke_token", status_code=204)
async def revoke_token(token_id: RowId, panel: PanelDep, _user: Administrator) -> None:
    """Revoke the token, immediately."""
    await panel.accounts.api_tokens.revoke(token_id)
