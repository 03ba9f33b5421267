"""What a page is asked with, and what there is to answer it with."""

from typing import Annotated

from fastapi import Depends, Request

from guardpanel.dependencies import PanelDep, SessionDep


class Visit:
    """A request, and what there is to answer it with."""

    def __init__(self, request: Request, panel: PanelDep, session: SessionDep) -> None:
        self.request = request
        self.panel = panel
        self.session = session
        self.changes = panel.changes
        self.facts = panel.changes.renderer.facts


Here = Annotated[Visit, Depends()]
