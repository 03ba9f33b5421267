"""What a new HAProxy worker is told about servers, so that a reload does not reset them.

A worker starts with every server UP until its first failed check: after each save, visitors would reach servers that are down. So
it reads a state file (`server-state-file`), which is derived from the previous worker's `show servers state`.

HAProxy trusts that file more than its configuration: another port, TLS disabled, DOWN forever without checks. Therefore only the
results of checks are taken from the old worker. Everything else follows the new configuration. Read in srv_state_srv_update() of
HAProxy's src/server_state.c, and tried on each version.
"""

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from operator import itemgetter
from typing import NamedTuple

from guardpanel.compact_rows import CompactRow
from guardpanel.engines.servers.configured import Backends, ConfiguredServer, Key
from guardpanel.listen_addresses import bind_text

Row = Mapping[str, str]
"A line of `show servers state`: its READ columns by name."

COLUMNS = (  # noqa: SIM905 a list of 25 words reads worse
    "be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight "
    "srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state "
    "bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr "
    "srv_agent_addr srv_agent_port"
).split()

READ = (  # noqa: SIM905 so do 11
    "be_name srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_time_since_last_change srv_check_status "
    "srv_check_result srv_check_health srv_port"
).split()
"The columns that are looked at here and where rows are compared with what is configured."

HEAD = ("1", "# " + " ".join(COLUMNS))
"The version of the format, and the columns."

DOWN, UP = "0", "2"
"srv_op_state: SRV_ST_STOPPED and SRV_ST_RUNNING."

WAS_DISABLED = 0x04
"A bit of srv_admin_state that stays when such a server is made ready at run time (SRV_ADMF_CMAINT)."

NONE, DISABLED = "0", "5"
"""srv_admin_state: nothing, and what `disabled` makes it (with SRV_ADMF_FMAINT). Anything else of such a server would count as a
change."""

NEVER, NOT_YET = "0", "1"
"""srv_check_status: HCHK_STATUS_UNKNOWN of a server without checks, and HCHK_STATUS_INI before the first. For a server that is
checked, NEVER makes HAProxy discard all results of its checks, and crash on it (set_server_check_status() of src/check.c)."""

FAILED, PASSED = {"2"}, {"3", "4"}
"srv_check_result: CHK_RES_FAILED, CHK_RES_PASSED and CHK_RES_CONDPASS. It is none of them while a check runs."


class HealthState(NamedTuple):
    """What checks found about a server, as a state file expresses it."""

    op: str
    health: int
    row: Row

    def value(self, column: str) -> str:
        return self.row.get(column, "0")


def rows_in(text: str) -> dict[Key, Row]:
    """The rows of `show servers state`, or of one of our state files, each with the columns that are READ: there may be
    thousands."""
    _, _, rest = text.partition("\n# ")
    head, *lines = rest.split("\n")
    columns = head.split()
    names = [name for name in READ if name in columns]
    words = (line.split() for line in lines)
    read = itemgetter(*map(columns.index, names)) if names else tuple
    places = {name: at for at, name in enumerate(names)}
    rows = (CompactRow(places, read(row)) for row in words if len(row) == len(columns) > 0)
    return {(row["be_name"], row["srv_name"]): row for row in rows}


def place_of(row: Row) -> str:
    """Address and port, as haproxy.cfg has them."""
    return bind_text(_canonical(row["srv_addr"]), int(row["srv_port"]))


def _canonical(address: str) -> str:
    """HAProxy writes `::1:2` as `::0.1.0.2`. What is no address is left as it is."""
    try:
        return str(ip_address(address))
    except ValueError:
        return address


def in_place(before: Mapping[Key, Row], live: Backends) -> dict[Key, Row]:
    """Without servers that the old worker has elsewhere: addresses also change at run time, and what was checked there says
    nothing of the one that is configured."""
    places = {
        (server.backend, server.name): server for servers in live.values() for server in servers if not server.is_name
    }

    def is_there(key: Key, row: Row) -> bool:
        server = places.get(key)
        return server is None or (server.host, server.port) == (_canonical(row["srv_addr"]), row["srv_port"])

    return {key: row for key, row in before.items() if is_there(key, row)}


def addresses_in(before: Mapping[Key, Row], live: Backends) -> dict[str, str]:
    """Names with the addresses that the old worker has for them."""
    return {
        server.host: row["srv_addr"]
        for servers in live.values()
        for server in servers
        if server.is_name and (row := before.get((server.backend, server.name))) and row["srv_addr"] != "-"
    }


def state_lines(
    before: Mapping[Key, Row],
    live: Backends,
    new: Backends,
    *,
    handed: Mapping[Key, Row],
    addresses: Mapping[str, str],
) -> list[str]:
    """The state file for a worker that loads `new`. `before` is the state reported by the old worker, which runs `live`, and
    `handed` what it was told when it started. `addresses` are those of servers given by name. Servers are matched by their
    location, not their name, since one may have been removed."""
    lines, health = [*HEAD], dict[str, HealthState]()
    for backend, servers in new.items():
        left = list(live.get(backend, ()))
        for server in servers:
            old = _same(server, left)
            if old is not None:
                left.remove(old)
            key = (old.backend, old.name) if old is not None else ("", "")
            checked = _checked(server, before.get(key), handed.get(key)) if old is not None else None
            if checked is None and (tracked := health.get(server.tracked)):
                checked = HealthState(tracked.op, tracked.health, {})
            elif checked is not None:
                health[f"{server.backend}/{server.name}"] = checked
            address = addresses.get(server.host, "-") if server.is_name else "-"
            if address != "-" or (server.enabled and checked is not None):
                lines.append(_line(server, _starting(server, checked), address))
    return lines


def _starting(server: ConfiguredServer, checked: HealthState | None) -> HealthState:
    """One in maintenance has only its address from the file, for when it is ready again."""
    if not server.enabled:
        return HealthState(DOWN, 0, {})
    return checked or HealthState(UP, server.full_health, {})


def _same(server: ConfiguredServer, candidates: Sequence[ConfiguredServer]) -> ConfiguredServer | None:
    """The server with the same check in the same place. Of several, the one with the same name."""
    question = _question(server)
    matches = [candidate for candidate in candidates if _question(candidate) == question]
    return next((match for match in matches if match.name == server.name), matches[0] if matches else None)


def _question(server: ConfiguredServer) -> tuple[str, ...]:
    return server.host, server.port, server.tls, server.asks


def _checked(server: ConfiguredServer, row: Row | None, handed: Row | None) -> HealthState | None:
    """None if its health is unknown, as in maintenance or drain: it starts UP like a new one."""
    if (
        row is None
        or not server.asks
        or int(row["srv_admin_state"]) & ~WAS_DISABLED
        or row["srv_op_state"] not in {DOWN, UP}
    ):
        return None
    return _with_earlier(row, handed, server)


def _with_earlier(row: Row, handed: Row | None, server: ConfiguredServer) -> HealthState:
    """A new worker counts good and bad checks from 0. If saves follow each other faster than `rise` or `fall` checks, a server
    that recovered or failed would never be noticed. So the counts of earlier workers are added, unless a check has contradicted
    them since."""
    op, health, result = row["srv_op_state"], int(row["srv_check_health"]), row["srv_check_result"]
    full, rise = server.full_health, server.rise
    earlier = int(handed["srv_check_health"]) if handed is not None and handed["srv_op_state"] == op else None
    if op == DOWN:
        health += earlier if earlier is not None and result not in FAILED else 0
        return HealthState(UP, full, {}) if health >= rise else HealthState(DOWN, health, row)
    health -= full - earlier if earlier is not None and result not in PASSED else 0
    return HealthState(DOWN, 0, {}) if health < rise else HealthState(UP, min(health, full), row)


def _line(server: ConfiguredServer, checked: HealthState, address: str) -> str:
    """Columns as in COLUMNS. The numbers of backends and servers need not be right, only their names."""
    status = checked.value("srv_check_status")
    status = NOT_YET if server.asks and status == NEVER else status
    return " ".join((
        "1", server.backend, server.name[1:], server.name, address, checked.op, NONE if server.enabled else DISABLED,
        server.weight, server.weight, checked.value("srv_time_since_last_change"), status,
        checked.value("srv_check_result"), str(checked.health), "6" if server.asks else "0", "0", "0", "0",
        server.host if server.is_name else "-", server.port, "-", "1" if server.tls else "0", "0", "-", "-", "0",
    ))  # fmt: skip
