"""What is spoken with a virtual host's servers, and through it."""

from guardpanel.models.meta import Choice, described
from guardpanel.models.types import Fields, stored


class ServerProtocol(Choice):
    """What servers are spoken to in, health checks included."""

    HTTP1 = "http1", "HTTP/1.1", "For all usual servers."
    HTTP2 = "http2", "HTTP/2", "All servers must speak it. For gRPC. WebSockets then need RFC 8441 on the servers."


class ProtocolsColumns(Fields):
    """The fields that form, JSON and table share."""

    server_protocol: ServerProtocol = described(
        "Protocol to servers", ServerProtocol.HTTP1, sa_type=stored(ServerProtocol)
    )
    streaming: bool = described(
        "Stream request bodies",
        False,
        hint="For gRPC, whose requests and responses go on side by side. Bodies reach servers as they come: the WAF inspects "
        "URLs and headers, but never a request body. The policy must allow the content type application/grpc.",
    )
