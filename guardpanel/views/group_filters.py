"""The filters of groups: those of Events, and whether a group is fixed."""

from collections.abc import Iterable

from starlette.datastructures import QueryParams

from guardpanel.models import Policy
from guardpanel.services.fixes.event_groups import GroupState
from guardpanel.views.event_filters import Box, EventFilters

STATES = {GroupState.OPEN: "open", GroupState.FIXED: "fixed"}


class GroupFilters(EventFilters):
    PATH = "/event-groups"

    def __init__(self, query: QueryParams) -> None:
        super().__init__(query)
        self.state = next((state for state in GroupState if state == query.get("state")), None)
        self.offset = (
            int(text) if (text := query.get("offset", "")).isascii() and text.isdigit() and len(text) < 6 else 0
        )
        if self.state:
            self.kept["state"] = self.state.value

    def boxes(self, policies: Iterable[Policy], host: str) -> list[Box]:
        return [*super().boxes(policies, host), self.state_box]

    @property
    def state_box(self) -> Box:
        options = [
            {"label": word.capitalize(), "url": self.url(state=state.value), "current": state is self.state}
            for state, word in STATES.items()
        ]
        words = STATES[self.state] if self.state else ""
        return Box("state", "Fix", words, self.url(state="") if self.state else "", options)
