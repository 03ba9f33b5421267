"""Logging in for programs and the React panel: access token in the body, refresh cookie beside it."""

from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from guardpanel.dependencies import REFRESH_COOKIE, PanelDep, Viewer, bearer_token, client_address, is_encrypted
from guardpanel.errors import Unauthorized
from guardpanel.models.user import Role
from guardpanel.services.accounts.sessions import LONGEST
from guardpanel.services.accounts.tokens import Given

PATH = "/api/v1/auth"

router = APIRouter(prefix=PATH, tags=["auth"])


class LogIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    email: str = Field(max_length=300)
    password: str = Field(max_length=2000)


class AccessTokenOut(BaseModel):
    """`access_token` goes into `Authorization: Bearer`, for `expires_in` seconds."""

    access_token: str
    token_type: Literal["bearer"]
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
    return _given(request, response, await panel.accounts.tokens.first(user, client_address(request)))


@router.post("/refresh")
async def refresh_token(request: Request, response: Response, panel: PanelDep) -> AccessTokenOut:
    """A new access token for the refresh cookie's session."""
    secret = request.cookies.get(REFRESH_COOKIE)
    if not secret:
        raise Unauthorized("Log in again.")
    return _given(request, response, await panel.accounts.tokens.refresh(secret))


@router.post("/logout", status_code=204)
async def log_out(request: Request, response: Response, panel: PanelDep) -> None:
    """End the session of the cookie, or of the token, and all its access tokens."""
    if secret := request.cookies.get(REFRESH_COOKIE):
        await panel.accounts.sessions.end(secret)
    elif token := bearer_token(request):
        await panel.accounts.tokens.end(token)
    response.delete_cookie(REFRESH_COOKIE, path=PATH, secure=is_encrypted(request), httponly=True, samesite="strict")


@router.get("/me")
async def read_me(user: Viewer) -> Me:
    """Who is logged in."""
    return Me(id=user.id or 0, email=user.email, full_name=user.full_name, role=user.role)


def _given(request: Request, response: Response, given: Given) -> AccessTokenOut:
    response.set_cookie(
        REFRESH_COOKIE,
        given.refresh,
        max_age=int(LONGEST.total_seconds()),
        path=PATH,
        secure=is_encrypted(request),
        httponly=True,
        samesite="strict",
    )
    return AccessTokenOut(access_token=given.access, token_type="bearer", expires_in=given.expires_in)  # noqa: S106
