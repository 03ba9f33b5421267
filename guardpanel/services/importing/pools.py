"""A backend as a virtual host has it, or one of its paths."""

import re
from collections.abc import Callable, Mapping, Sequence

from guardpanel.models.delivery.own_server import line_of
from guardpanel.models.server import Balance, ServerFields
from guardpanel.services.importing.checks import check, http_check, tcp_check
from guardpanel.services.importing.hosts import Host, Row
from guardpanel.services.importing.outcomes import UNKNOWN, Line
from guardpanel.services.importing.pool import Pool
from guardpanel.services.importing.proxies import OLD_DENIES, key_of
from guardpanel.services.importing.quantities import refused, whole_seconds
from guardpanel.services.importing.reasons import reason
from guardpanel.services.importing.servers import NAME, ServerLine, address_of, read_parameters

TIMEOUTS = {
    "timeout connect": "connect_timeout",
    "timeout contimeout": "connect_timeout",
    "timeout server": "server_timeout",
    "timeout srvtimeout": "server_timeout",
    "timeout queue": "queue_timeout",
    "timeout tunnel": "tunnel_timeout",
}

FRONT = frozenset({
    "bind", "acl", "use_backend", "default_backend", "monitor-uri", "monitor", "monitor-net", "http-request", "http-response",
    "http-after-response", "tcp-request", "redirect", "block",
}) | OLD_DENIES  # fmt: skip
"Lines of a `listen` section that its frontend's half reads."

SENDS_CLIENT = "X-Forwarded-For, which guardpanel sends to servers"

ANY_ANSWER = "100-599"
"A check of the connection alone: any response of a server will do."


Handler = Callable[[Pool, Line], None]


def fill(row: Row, lines: Sequence[Line]) -> Pool:
    """Gives the row what the backend's lines say."""
    pool = Pool(row, lines)
    for line in lines:
        handler = HANDLERS.get(key_of(line))
        if handler is not None:
            handler(pool, line)
        elif line.keyword not in FRONT:
            _without_handler(row, line)
    return pool


def _without_handler(row: Row, line: Line) -> None:
    if why := reason(line):
        row.ledger.left(line, why)
    else:
        row.note(line, UNKNOWN if line.keyword not in {"errorfile", "http-error"} else "Error pages are made anew.")


def _timeout(pool: Pool, line: Line) -> None:
    exact = whole_seconds(line.words[2]) if len(line.words) > 2 else None
    if exact is None:
        pool.row.note(line, refused(" ".join(line.words[2:3])))
    else:
        pool.row.put(line, TIMEOUTS[key_of(line)], exact)


def _retries(pool: Pool, line: Line) -> None:
    count = line.words[1] if len(line.words) > 1 else ""
    pool.row.put(line, "retries", int(count[:9]) if count.isdecimal() else count)


def _balance(pool: Pool, line: Line) -> None:
    algorithm = re.sub(r"\(.*", "", line.words[1]) if len(line.words) > 1 else ""
    known = "roundrobin" if algorithm == "static-rr" else algorithm
    if pool.is_path:
        pool.row.ledger.left(line, "A path has the load balancing of its virtual host.")
    elif known in set(Balance):
        pool.row.put(line, "balance", known)
    else:
        pool.row.note(line, "guardpanel has no such load balancing.")


def _cookie(pool: Pool, line: Line) -> None:
    name, options = line.words[1] if len(line.words) > 1 else "", line.after(2)
    if "insert" not in options:
        pool.row.note(line, "guardpanel sets a cookie of its own, and changes none of the servers’.")
    elif pool.row.put(line, "sticky_cookie", name):
        pool.row.values["sticky_sessions"] = "cookie"


def _compression(pool: Pool, line: Line) -> None:
    kind, values = line.words[1:2], list(line.after(2))
    if kind == ("algo",) and "gzip" in values:
        pool.row.put(line, "compression", True)
    elif kind == ("type",) and values:
        pool.row.put(line, "compression_types", values)
    else:
        pool.row.note(line, "guardpanel compresses with gzip alone.")


def _own(what: str) -> Handler:
    return lambda pool, line: pool.row.became(line, what)


def _default_server(pool: Pool, line: Line) -> None:
    before = len(pool.shared.left)
    read_parameters(line.after(1), pool.shared)
    left = pool.shared.left[before:]
    if left:
        pool.row.note(line, f"guardpanel has nothing for {', '.join(left)[:100]}.")
    else:
        pool.row.became(line, "servers")


def _server(pool: Pool, line: Line) -> None:
    shared = pool.shared
    server = ServerLine(dict(shared.values), dict(shared.of_host))
    read_parameters(line.after(3), server)
    address, why = address_of(line.words[2] if len(line.words) > 2 else "", server.values.get("scheme", "http"))
    if why:
        pool.row.ledger.left(line, why)
        return
    pool.servers.append((line, server, {**server.values, "address": address}))


def _template(pool: Pool, line: Line) -> None:
    """Several servers of one name: guardpanel follows the name, as one server."""
    if len(line.words) > 3:
        _server(pool, Line(line.number, line.text, ("server", *line.words[1:2], *line.words[3:])))
        pool.row.note(line, "Became one server: guardpanel follows one address of a name.")


HANDLERS: Mapping[str, Handler] = {
    **dict.fromkeys(TIMEOUTS, _timeout),
    "retries": _retries,
    "balance": _balance,
    "cookie": _cookie,
    "option httpchk": check,
    "http-check": http_check,
    "compression": _compression,
    "option forwardfor": _own(SENDS_CLIENT),
    "option redispatch": _own("retries, the last of which asks another server"),
    "option tcp-check": tcp_check,
    "default-server": _default_server,
    "server": _server,
    "server-template": _template,
}


def of_host(pool: Pool, host: Host) -> None:
    """The virtual host's servers."""
    weighted = any("weight" in values for _, _, values in pool.servers)
    for line, server, values in pool.servers:
        values.setdefault("health_check", False)
        if weighted:
            values.setdefault("weight", 1)
        host.servers.append(values)
        _tls(pool, line, server.of_host | {"scheme": values.get("scheme", "http")})
        _finish(pool, line, server, "server")
    _checks(pool, host)


def _checks(pool: Pool, host: Host) -> None:
    host.values["health_check"] = any(values["health_check"] for _, _, values in pool.servers)
    if not host.values["health_check"]:
        for values in host.servers:
            del values["health_check"]
        return
    host.values.setdefault("health_check_interval", 2)
    if not pool.has("option httpchk"):
        host.values["health_check_status"] = ANY_ANSWER


IN_LINES = {"scheme", "address", "weight", "max_connections", "backup", "enabled", "draining"}
"Of a server's values, those that a line of a path can have."


def of_path(pool: Pool) -> list[str]:
    """The path's servers, as lines."""
    lines = []
    for line, server, values in pool.servers:
        own = {name: value for name, value in values.items() if name in IN_LINES}
        lines.append(line_of(ServerFields.model_validate(own)))
        server.left += ["verify"] if server.of_host.get("verify") == "none" else []
        ignored = {*IN_LINES, "health_check", "resolve_later"}
        server.left += sorted(name.replace("_", " ") for name in values if name not in ignored)
        _finish(pool, line, server, "server")
    return lines


def _finish(pool: Pool, line: Line, server: ServerLine, what: str) -> None:
    pool.row.became(line, what)
    if server.left:
        pool.row.note(line, f"guardpanel has nothing for {', '.join(server.left)[:100]}.")


def _tls(pool: Pool, line: Line, options: Mapping[str, str]) -> None:
    row = pool.row
    if options["scheme"] == "https":
        if options.get("verify") == "none":
            row.put(line, "tls_verify", "off")
        elif options.get("ca-file", "@system-ca") != "@system-ca":
            row.note(line, "Paste the CA certificate on the virtual host’s page.")
        name = NAME.fullmatch(options.get("sni", ""))
        if name or "verifyhost" in options:
            row.put(line, "tls_name", options.get("verifyhost", "") or (name[1] if name else ""))
        elif "sni" in options and not options["sni"].startswith(("req.hdr(host)", "hdr(host)", "ssl_fc_sni", "var(")):
            row.note(line, "guardpanel sends a fixed name, or the server’s.")
    if "h2" in (options.get("proto", ""), options.get("alpn", "").partition(",")[0]):
        row.put(line, "server_protocol", "http2")
