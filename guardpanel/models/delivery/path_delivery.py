"""What a path's requests get in place of what its virtual host does with them."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator
from sqlalchemy import JSON
from sqlmodel import Field

from guardpanel.models.delivery.compression import CompressionColumns
from guardpanel.models.delivery.cors import CorsColumns
from guardpanel.models.delivery.delivery import DeliveryColumns
from guardpanel.models.delivery.own_server import line_of, own_server
from guardpanel.models.delivery.security_headers import SecurityHeaders, SecurityHeadersColumns
from guardpanel.models.delivery.server_path import ServerPathColumns
from guardpanel.models.delivery.servers_asked import ServersAskedColumns
from guardpanel.models.header_rule import MOST_RULES, HeaderChange
from guardpanel.models.meta import described, inherited
from guardpanel.models.references import OptionalId, blank_is_none
from guardpanel.models.server import OptionalNumber
from guardpanel.models.site import optional_site
from guardpanel.models.types import Fields, Lines, stored

UNSET = "Same as virtual host"

ASKED = ServersAskedColumns


def own_servers(lines: list[str]) -> list[str]:
    """In canonical form, each URL once."""
    by_url: dict[str, str] = {}
    for server in map(own_server, lines):
        by_url.setdefault(server.url, line_of(server))
    return [*by_url.values()]


OwnServers = Annotated[Lines, AfterValidator(own_servers), Field(max_length=50)]


class OwnServersColumns(Fields):
    """What is asked, and how. What is empty is as on the virtual host."""

    own_servers: OwnServers = described(
        "Servers",
        default_factory=list,
        sa_type=JSON,
        placeholder="http://10.0.0.7:3000",
        hint="One per line, such as http://10.0.0.7:3000, instead of the virtual host’s. After it, there can be weight=50, "
        "connections=20, backup, draining, or disabled. Health checks and load balancing are the virtual host’s.",
    )
    server_host: Annotated[str, AfterValidator(optional_site)] = inherited(ASKED, "server_host", "")
    connect_timeout: OptionalNumber = inherited(ASKED, "connect_timeout", unset=UNSET)
    queue_timeout: OptionalNumber = inherited(ASKED, "queue_timeout", unset=UNSET)
    server_timeout: OptionalNumber = inherited(ASKED, "server_timeout", unset=UNSET)
    tunnel_timeout: OptionalNumber = inherited(ASKED, "tunnel_timeout", unset=UNSET)
    retries: OptionalNumber = inherited(ASKED, "retries", unset=UNSET)
    security_headers: Annotated[SecurityHeaders | None, BeforeValidator(blank_is_none)] = inherited(
        SecurityHeadersColumns, "security_headers", unset=UNSET, sa_type=stored(SecurityHeaders)
    )
    error_page_id: OptionalId = inherited(DeliveryColumns, "error_page_id", unset=UNSET)


OwnHeaders = Annotated[list[HeaderChange], Field(max_length=MOST_RULES)]


class OwnHeadersFields(Fields):
    """What is done to headers, after the virtual host's rules. Stored as JSON."""

    own_headers: OwnHeaders = described(
        "Header rules", default_factory=list, hint="Applied after the virtual host’s, in this order."
    )


class OwnCompressionColumns(Fields):
    """Whether the path's compression counts."""

    own_compression: bool = described("Compression of its own", False, hint="If off, it is the virtual host’s.")


class OwnCorsColumns(Fields):
    """Whether the path's CORS counts."""

    own_cors: bool = described("CORS of its own", False, hint="If off, it is the virtual host’s.")


GROUPS: Mapping[str, type[BaseModel]] = {"own_compression": CompressionColumns, "own_cors": CorsColumns}
"What counts as a whole, by the switch."

SINGLE = (*ServerPathColumns.model_fields, *(name for name in OwnServersColumns.model_fields if name != "own_servers"))
"Virtual hosts have fields of these names. A path's counts if it has a value."

OUTSIDE_SECTIONS = {"error_page_id"}
"Of these, what HAProxy looks up in a map."


class PathDeliveryColumns(
    CorsColumns,
    OwnCorsColumns,
    CompressionColumns,
    OwnCompressionColumns,
    OwnServersColumns,
    ServerPathColumns,
):
    """The fields that form, JSON and table share. In their order, the last base comes first."""


def differences(values: Mapping[str, Any]) -> dict[str, Any]:
    """The virtual host's fields that are others on a path with these values."""
    single = {name: values[name] for name in SINGLE if values.get(name) not in (None, "")}
    groups = (columns.model_fields for switch, columns in GROUPS.items() if values.get(switch))
    return single | {name: values[name] for fields in groups for name in fields}


def is_different(values: Mapping[str, Any]) -> bool:
    """Whether requests of the path are handled in another way, or by others."""
    return needs_section(values) or bool(differences(values))


def needs_section(values: Mapping[str, Any]) -> bool:
    """Whether it takes a section of HAProxy's configuration."""
    own = ("own_servers", "own_headers", *GROUPS)
    return any(values.get(name) for name in own) or not differences(values).keys() <= OUTSIDE_SECTIONS
