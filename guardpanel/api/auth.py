"""Logging in for programs and the React panel: access token in the body, refresh cookie beside it."""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from guardpanel.dependencies import REFRESH_COOKIE, PanelDep, Viewer, client_address
from guardpanel.errors import Unauthorized
from guardpanel.models import User
from guardpanel.models.user import Role
from guardpanel.services.accounts import LONGEST, Tokens

router = APIRouter(prefix="/auth", tags=["auth"])

PATH = "/api/v1/auth"


class LogIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    email: str = Field(max_length=300)
    password: str = Field(max_length=2000)


class AccessTokenOut(BaseModel):
    """`access_token` goes into `Authorization: Bearer`, for `expires_in` seconds."""

    access_token: str
    token_type: str = "bearer"  # noqa: S105 the scheme's name
    expires_in: int


class Me(BaseModel):
    id: int
    email: str
    full_name: str
    role: Role


@router.post("/login")
async def log_in(request: Request, response: Response, body: LogIn, panel: PanelDep) -> AccessTokenOut:
    """Log in with an e-mail address and a password."""
    user = await panel.accounts.log_in(body.email, body.password, client_address(request))
    return _given(request, response, await panel.accounts.tokens(user, client_address(request)))


@router.post("/refresh")
async def refresh_token(request: Request, response: Response, panel: PanelDep) -> AccessTokenOut:
    """A new access token for the refresh cookie's session."""
    secret = request.cookies.get(REFRESH_COOKIE)
    if not secret:
        raise Unauthorized("Log in again.")
    return _given(request, response, await panel.accounts.refresh(secret))


@router.post("/logout", status_code=204)
async def log_out(request: Request, response: Response, panel: PanelDep) -> None:
    """End the session and all its access tokens."""
    if secret := request.cookies.get(REFRESH_COOKIE):
        await panel.accounts.close_session(secret)
    response.delete_cookie(REFRESH_COOKIE, path=PATH)


@router.get("/me")
async def read_me(user: Viewer) -> Me:
    """Who is logged in."""
    return me(user)


def me(user: User) -> Me:
    return Me(id=user.id or 0, email=user.email, full_name=user.full_name, role=user.role)


def _given(request: Request, response: Response, tokens: Tokens) -> AccessTokenOut:
    response.set_cookie(
        REFRESH_COOKIE, tokens.refresh, max_age=int(LONGEST.total_seconds()), path=PATH,
        secure=request.url.scheme == "https", httponly=True, samesite="strict",
    )  # fmt: skip
    return AccessTokenOut(access_token=tokens.access, expires_in=tokens.expires_in)
