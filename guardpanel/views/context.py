"""The context of a request: who asks, and the services that answer."""

from typing import Annotated

from fastapi import Depends, Request

from guardpanel.dependencies import PanelDep, SessionDep


class Context:
    """A request, with the panel and the database session."""

    def __init__(self, request: Request, panel: PanelDep, session: SessionDep) -> None:
        self.request = request
        self.panel = panel
        self.session = session
        self.changes = panel.changes
        self.facts = panel.changes.renderer.facts


async def context(request: Request, panel: PanelDep, session: SessionDep) -> Context:
    return Context(request, panel, session)


ContextDep = Annotated[Context, Depends(context)]
