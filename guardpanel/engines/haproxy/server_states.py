"""The states of the servers behind the virtual hosts, from HAProxy's `show stat`. There may be ten thousand rows with a hundred
columns each: rows are parsed on demand."""

import csv
from collections.abc import Mapping
from typing import NamedTuple, Self


class ServerLoad(NamedTuple):
    """What a server does, and did since HAProxy's last reload."""

    connections: int
    most_connections: int
    waiting: int
    most_waiting: int
    requests: int
    connection_errors: int
    response_errors: int
    retries: int
    bytes_to: int
    bytes_from: int
    failed_checks: int
    times_down: int
    seconds_down: int
    weight: int

    @classmethod
    def of(cls, facts: Mapping[str, str]) -> Self:
        return cls(*(int(facts.get(column) or 0) for column in LOAD))


LOAD = (  # noqa: SIM905 a list reads worse
    "scur smax qcur qmax stot econ eresp wretr bin bout chkfail chkdown downtime weight"
).split()
"Columns of `show stat` (HAProxy's management guide §9.1), in the order of ServerLoad."


class ServerStatus(NamedTuple):
    """`state` is UP, DOWN, MAINT, DRAIN, NOLB, `no check`, or RESOLVING: its name has no address yet. `check` is HAProxy's code
    for the last check."""

    name: str
    state: str
    check: str
    check_code: str
    check_ms: int | None
    since_seconds: int
    address: str
    recovering: str = ""
    "`1 of 2`: down, but one of two required checks has passed."
    load: ServerLoad | None = None

    @property
    def is_up(self) -> bool:
        return is_up(self.state)


def is_up(state: str) -> bool:
    return state in {"UP", "no check"}


NAME, STATUS = 1, 17
"Columns of `show stat`, which new versions only extend at the end. None before STATUS is quoted."


def is_of_path(backend: str) -> bool:
    """`be_17.4`: of a path binding. Its servers are the virtual host's (`s1`), or its own (`p1`)."""
    return "." in backend


def is_of_row(backend: str, server: str) -> bool:
    """Whether it is the one of a server that was entered: of virtual hosts' servers, paths have others."""
    return server.startswith("p") or not is_of_path(backend)


class Servers:
    """A `show stat` answer: CSV, with the column names in the first line. Create it in a thread: thousands of servers take tens
    of milliseconds."""

    def __init__(self, stat: str = "") -> None:
        head, *rows = stat.removeprefix("# ").split("\n")
        self._columns = {name: at for at, name in enumerate(head.split(","))}
        self._rows: dict[str, list[str]] = {}
        self.states: dict[str, list[tuple[str, str]]] = {}
        "The names and states of each backend's servers."
        for row in rows:
            if row.startswith("be_"):
                cut = row.split(",", STATUS + 1)
                self._rows.setdefault(cut[0], []).append(row)
                self.states.setdefault(cut[0], []).append((cut[NAME], _state(cut[STATUS])))

    def __contains__(self, backend: str) -> bool:
        return backend in self._rows

    def of(self, backend: str) -> tuple[ServerStatus, ...]:
        """The servers of one backend (`be_17`) as the newest worker reports them."""
        return tuple(self._server(row) for row in csv.reader(self._rows.get(backend, ())))

    def _server(self, row: list[str]) -> ServerStatus:
        facts = {name: row[at] for name, at in self._columns.items()}
        milliseconds = facts["check_duration"]
        return ServerStatus(
            name=facts["svname"],
            state=_state(facts["status"]),
            check=facts["last_chk"] or facts["check_desc"],
            check_code=facts["check_code"],
            check_ms=int(milliseconds) if milliseconds else None,
            since_seconds=int(facts["lastchg"] or 0),
            address=facts["addr"],
            recovering=_recovering(facts["status"]),
            load=ServerLoad.of(facts),
        )


def _state(status: str) -> str:
    """`DOWN 1/2` becomes DOWN."""
    if status in {"no check", "UP"}:
        return status
    return "RESOLVING" if "resolution" in status else status.partition(" ")[0]


def _recovering(status: str) -> str:
    """The counts in `DOWN 1/2` (HAProxy's management guide, `status` of `show stat`)."""
    passed, _, needed = status.removeprefix("DOWN ").partition("/")
    return f"{passed} of {needed}" if passed.isdigit() and needed.isdigit() else ""
