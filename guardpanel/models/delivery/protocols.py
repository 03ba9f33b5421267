"""What is spoken with a virtual host's servers, and through it."""

import re
from typing import Annotated

from pydantic import AfterValidator
from sqlalchemy import JSON
from sqlmodel import Field

from guardpanel.models.meta import Choice, described
from guardpanel.models.refusing import refuse
from guardpanel.models.types import Fields, Lines, stored, visible

TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}(/[A-Za-z0-9._-]{1,20})?")

NOT_SWITCHED = {
    "websocket": "websocket passes without it. Remove it.",
    "http": "Requests after a switch to HTTP would not be inspected.",
    "h2": "Requests after a switch to HTTP/2 would not be inspected. Visitors use it over HTTPS.",
    "h2c": "Requests after a switch to h2c would not be inspected. Visitors use HTTP/2 over HTTPS.",
    "tls": "What follows a switch to TLS is encrypted, and HAProxy could not see any request in it. Use HTTPS.",
}
"Why, by the token's name."


def upgrade_token(text: str) -> str:
    token = visible(text.strip())
    if not TOKEN.fullmatch(token):
        raise refuse(f"{token[:40]} is not a protocol name. Enter one such as tcp or SPDY/3.1.")
    if why := NOT_SWITCHED.get(token.partition("/")[0].lower()):
        raise refuse(f"{token}: {why}" if not why.startswith(token) else why)
    return token


def upgrade_tokens(tokens: list[str]) -> list[str]:
    """Their case means nothing (RFC 9110 §7.8)."""
    known: dict[str, str] = {}
    for token in map(upgrade_token, tokens):
        known.setdefault(token.lower(), token)
    return [*known.values()]


UpgradeTokens = Annotated[Lines, AfterValidator(upgrade_tokens), Field(max_length=20)]


class ServerProtocol(Choice):
    """What servers are spoken to in, health checks included."""

    HTTP1 = "http1", "HTTP/1.1", "For all usual servers."
    HTTP2 = "http2", "HTTP/2", "All servers must support it. For gRPC. WebSockets then need RFC 8441 on the servers."


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
    upgrades: UpgradeTokens = described(
        "Other Upgrade protocols",
        default_factory=list,
        sa_type=JSON,
        hint="One per line, such as tcp or SPDY/3.1, next to WebSockets. The WAF inspects the request that asks for the switch, "
        "and nothing after it.",
    )
