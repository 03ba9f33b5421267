"""The last requests in HAProxy's log, to see what proxies in front send (services/events/recent_requests.py). In memory only."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from guardpanel.events.texts import legible

KEPT = 20
"Requests to keep, and as many whose forwarded headers were ignored."

NOT_OURS, NOTHING_SAID, NOT_TRUSTED = b'"panel":"-"', b'"forwarded":"-"', b'"proxied":"-"'
"Quotes within visitors' values are escaped, so these match the fields themselves."


class _LogEntry(msgspec.Struct):
    time: float = 0.0
    client: str = ""
    peer: str = ""
    scheme: str = ""
    forwarded: str = ""
    proxied: str = ""
    host: str = ""
    method: str = ""
    status: int = 0


TEXTS = [name for name in _LogEntry.__struct_fields__ if name not in {"time", "status"}]

LOGGED = msgspec.json.Decoder(_LogEntry)


class RecentRequests:
    def __init__(self) -> None:
        self._all: deque[bytes] = deque(maxlen=KEPT)
        self._ignored: deque[bytes] = deque(maxlen=KEPT)

    def see(self, lines: Sequence[bytes]) -> None:
        """Take visitors' requests from these log lines."""
        self._all.extend(line for line in lines[-KEPT:] if NOT_OURS in line)
        self._ignored.extend(
            line for line in lines if NOTHING_SAID not in line and NOT_TRUSTED in line and NOT_OURS in line
        )

    def describe(self) -> dict[str, list[dict[str, object]]]:
        """Newest first. Strangers' values are safe to show."""
        return {"requests": list(_read(self._all)), "ignored": list(_read(self._ignored))}


def _read(lines: Iterable[bytes]) -> Iterator[dict[str, object]]:
    for line in reversed(tuple(lines)):
        try:
            entry = LOGGED.decode(line)
        except msgspec.DecodeError:
            continue
        texts = {name: legible(str(getattr(entry, name)))[:500] for name in TEXTS}
        yield {"time": entry.time, "status": entry.status, **texts}
