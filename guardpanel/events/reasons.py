"""Why HAProxy ended a request itself, from the termination state, status and timers in its log.

The first letter of the state tells who ended it, the second what HAProxy waited for (HAProxy configuration manual, §8.5, "Session
state at disconnection"). A request whose response had begun to reach the client was delivered, whatever happened later.
"""

from guardpanel.events.words import Reason

WAF_INTERRUPTED = {"4", "5"}
"""HAProxy's error codes when the client disconnects during a question to the agent (`SPOE_CTX_ERR_INTERRUPT` in its source): 5,
or 4 since 3.1. Before, 4 concerned fragmented frames, which are not used."""

NO_ANSWER = {-1, 0, 400, 408}
"Statuses that HAProxy logs if the client got none."

BEFORE_THE_ANSWER = {"R", "Q", "C", "H"}
"""What HAProxy waited for: the request, a free server, a connection, or response headers. The last one also while it holds a
response for inspection."""

BY_STATUS = {
    400: Reason.MALFORMED,
    405: Reason.MALFORMED,
    414: Reason.TOO_LONG,
    431: Reason.TOO_LONG,
    502: Reason.BAD_RESPONSE,
}


def reason(ended: str, status: int, server: str, server_milliseconds: int) -> Reason | None:
    """None if it was delivered, or if another part decides."""
    who, what = ended[:1], ended[1:2]
    if who == "-" or (server_milliseconds >= 0 and what not in BEFORE_THE_ANSWER):
        return None
    match who:
        case "C":
            return Reason.CLIENT_ABORTED if status in NO_ANSWER else None
        case "c":
            return Reason.CLIENT_TIMEOUT
        case "S" | "s":
            return _of_server(who, what, server)
        case "P" | "L":
            return BY_STATUS.get(status, Reason.REFUSED) if status >= 400 else None
        case "R" | "I":
            return Reason.NO_RESOURCES
    return Reason.ENDED


def _of_server(who: str, what: str, server: str) -> Reason:
    if what == "Q":
        return Reason.QUEUE_FULL
    if what == "C" and who == "s":
        return Reason.CONNECT_TIMEOUT
    if what == "C":
        return Reason.NO_SERVER if server.startswith("<") else Reason.SERVER_REFUSED
    return Reason.SERVER_TIMEOUT if who == "s" else Reason.SERVER_CLOSED
