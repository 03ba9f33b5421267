"""The first account, created through the one-time link that `guardpanel up` prints."""

from fastapi import APIRouter, Request, Response

from guardpanel.dependencies import PanelDep, SessionDep
from guardpanel.errors import Invalid
from guardpanel.models.user import AccountFields
from guardpanel.views.answers import bare_page
from guardpanel.views.forms import Form
from guardpanel.views.sessions import enter

router = APIRouter()


@router.get("/setup/{token}")
async def new(request: Request, token: str, panel: PanelDep, session: SessionDep) -> Response:
    await panel.accounts.may_set_up(session, token)
    return await show(request, panel, Form({}))


@router.post("/setup/{token}")
async def create(request: Request, token: str, panel: PanelDep, session: SessionDep) -> Response:
    await panel.accounts.may_set_up(session, token)
    form = await Form.read(request)
    try:
        user = await panel.accounts.set_up(token, form.fields(AccountFields))
    except Invalid as refused:
        return await show(request, panel, form.refused(refused), 422)
    return await enter(request, panel, user, "/")


async def show(request: Request, panel: PanelDep, form: Form, status_code: int = 200) -> Response:
    """The form, with proof that both engines respond and the first revision is live."""
    engines = await panel.engines.status()
    live = engines.haproxy.checksum is not None and not panel.starting and panel.problem is None
    return await bare_page(
        request, "setup/new.html", {"form": form, "engines": engines, "live": live}, status_code=status_code
    )
