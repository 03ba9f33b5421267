"""Why HAProxy ended a request itself, from the termination state, status and times of its log.

The state's first letter says who ended it and the second one what HAProxy waited for (its configuration manual, "Session state at
disconnection", §8.5). A request whose answer HAProxy had begun to pass on was delivered, whatever came after.
"""

from guardpanel.events.words import Reason

WAF_INTERRUPTED = {"4", "5"}
"""HAProxy's errors of a question to the agent that the client's going away interrupted (`SPOE_CTX_ERR_INTERRUPT` of its source):
5, from 3.1 on 4, which before was about fragmented frames, and those are not used."""

NO_ANSWER = {-1, 0, 400, 408}
"What HAProxy logs as the status where the client did not get or await one."

BEFORE_THE_ANSWER = {"R", "Q", "C", "H"}
"""What HAProxy waited for: the request, a free server, a connection, a response's headers; the last also while it holds a
response back to have it inspected."""

BY_STATUS = {
    400: Reason.MALFORMED,
    405: Reason.MALFORMED,
    414: Reason.TOO_LONG,
    431: Reason.TOO_LONG,
    502: Reason.BAD_RESPONSE,
}


def reason(ended: str, status: int, server: str, server_milliseconds: int) -> Reason | None:
    """None: it was delivered, or somebody else has the say in it."""
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
