"""How a virtual host's servers are asked: with which Host, for how long and how often."""

from typing import Annotated

from pydantic import AfterValidator

from guardpanel.models.meta import described
from guardpanel.models.site import optional_site
from guardpanel.models.types import Fields


class ServersAskedColumns(Fields):
    """The fields that form, JSON and table share."""

    server_host: Annotated[str, AfterValidator(optional_site)] = described(
        "Host sent to servers",
        "",
        max_length=300,
        placeholder="app.internal",
        hint="In health checks, too. If empty, the Host header is sent as received. X-Forwarded-Host always has that one.",
    )
    connect_timeout: int = described(
        "Connect timeout",
        5,
        ge=1,
        le=60,
        unit="s",
        hint="For a connection to a server. After it, the retries, and then 503.",
    )
    queue_timeout: int = described(
        "Queue timeout",
        10,
        ge=1,
        le=600,
        unit="s",
        hint="For a free server, where servers have a limit of connections. After it, 503.",
    )
    server_timeout: int = described(
        "Server timeout",
        60,
        ge=1,
        le=3_600,
        unit="s",
        hint="Without anything from the server. After it, 504 or the response ends.",
    )
    tunnel_timeout: int = described(
        "Tunnel timeout",
        3_600,
        ge=1,
        le=86_400,
        unit="s",
        hint="For WebSockets and other tunnels on which nothing is sent in either direction.",
    )
    retries: int = described(
        "Retries",
        2,
        ge=0,
        le=10,
        hint="Of connections that fail, the last one to another server. Nothing that reached a server is sent again.",
    )
