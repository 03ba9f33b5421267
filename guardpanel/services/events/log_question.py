"""The filters of the access log as typed: one input type for the page's form, its URL and the JSON API."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel

from guardpanel.events.words import Verdict
from guardpanel.models.meta import described
from guardpanel.models.refusing import refuse
from guardpanel.services.events.access_log import PASSED, LogFilter
from guardpanel.services.events.question import Empty, Method, Network, Words

StatusClass = Literal["2xx", "3xx", "4xx", "5xx", "none"]


def verdict(text: str) -> str:
    if text != PASSED and text not in set(Verdict):
        raise refuse(f"Enter {PASSED} or a verdict, for example {Verdict.BLOCKED.value}.")
    return text


LogVerdict = Annotated[str, AfterValidator(verdict)]


class LogQuestion(BaseModel):
    """Conditions that must all hold. Empty ones are ignored."""

    status: Annotated[StatusClass | None, Empty] = described("Status", None)
    verdict: Annotated[LogVerdict | None, Empty] = described("Verdict", None)
    method: Annotated[Method | None, Empty] = described("Method", None)
    path: Annotated[Words | None, Empty] = described("Path", None, hint="A prefix if it starts with /, else any part.")
    client: Annotated[Network | None, Empty] = described("Client IP", None, hint="IP address or CIDR range.")

    def of(self, virtual_host_id: int) -> LogFilter:
        return LogFilter(
            virtual_host_id=virtual_host_id,
            status={"none": "-", None: ""}.get(self.status, (self.status or "")[:1]),
            method=self.method or "",
            path=self.path or "",
            client=self.client or "",
            verdict=self.verdict or "",
        )
