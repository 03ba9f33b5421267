"""Login for programs and the React panel: an access token in the body, and a refresh cookie."""

from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from guardpanel.api.documented import also
from guardpanel.dependencies import REFRESH_COOKIE, PanelDep, Viewer, bearer_token, client_address, is_encrypted
from guardpanel.errors import Unauthorized
from guardpanel.models.user import Role
from guardpanel.services.accounts.sessions import LONGEST
from guardpanel.services.accounts.tokens import TokenPair

PATH = "/api/v1/auth"

router = APIRouter(prefix=PATH, tags=["auth"])


class LogIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    email: str = Field(max_length=300)
    password: str = Field(max_length=2000)


class AccessTokenOut(BaseModel):
    """Send `access_token` as `Authorization: Bearer`. It expires after `expires_in` seconds."""

    access_token: str
    token_type: Literal["bearer"]
    expires_in: int


class Me(BaseModel):
    id: int
    email: str
    full_name: str
    role: Role


@router.post("/login", responses=also(401, 429))
async def log_in(request: Request, response: Response, body: LogIn, panel: PanelDep) -> AccessTokenOut:
    """Log in with an email address and a password."""
    user = await panel.accounts.log_in(body.email, body.password, client_address(request))
    return _token_answer(request, response, await panel.accounts.tokens.first(user, client_address(request)))


@router.post("/refresh", responses=also(401))
async def refresh_token(request: Request, response: Response, panel: PanelDep) -> AccessTokenOut:
    """A new access token for the refresh cookie's session."""
    secret = request.cookies.get(REFRESH_COOKIE)
    if not secret:
        raise Unauthorized("Log in again.")
    return _token_answer(request, response, await panel.accounts.tokens.refresh(secret))


@router.post("/logout", status_code=204)
async def log_out(request: Request, response: Response, panel: PanelDep) -> None:
    """End the cookie's or the token's session, and all its access tokens."""
    if secret := request.cookies.get(REFRESH_COOKIE):
        await panel.accounts.sessions.end(secret)
    elif token := bearer_token(request):
        await panel.accounts.tokens.end(token)
    response.delete_cookie(REFRESH_COOKIE, path=PATH, secure=is_encrypted(request), httponly=True, samesite="strict")


@router.get("/me")
async def read_me(user: Viewer) -> Me:
    """The user who is logged in."""
    return Me(id=user.id or 0, email=user.email, full_name=user.full_name, role=user.role)


def _token_answer(request: Request, response: Response, pair: TokenPair) -> AccessTokenOut:
    response.set_cookie(
        REFRESH_COOKIE,
        pair.refresh,
        max_age=int(LONGEST.total_seconds()),
        path=PATH,
        secure=is_encrypted(request),
        httponly=True,
        samesite="strict",
    )
    return AccessTokenOut(access_token=pair.access, token_type="bearer", expires_in=pair.expires_in)  # noqa: S106
