"""The last requests in HAProxy's log, for a look at what proxies in front say (services/events/lately.py). In memory alone."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from guardpanel.events.texts import shown

KEPT = 20
"Requests, and as many of which forwarded headers were ignored."

NOT_OURS, NOTHING_SAID, NOT_TRUSTED = b'"panel":"-"', b'"forwarded":"-"', b'"proxied":"-"'
"Quotes of what a visitor sent are escaped, so these stand for the fields themselves."


class _Logged(msgspec.Struct):
    time: float = 0.0
    client: str = ""
    peer: str = ""
    scheme: str = ""
    forwarded: str = ""
    proxied: str = ""
    host: str = ""
    method: str = ""
    status: int = 0


TEXTS = [name for name in _Logged.__struct_fields__ if name not in {"time", "status"}]

LOGGED = msgspec.json.Decoder(_Logged)


class Lately:
    def __init__(self) -> None:
        self._all: deque[bytes] = deque(maxlen=KEPT)
        self._ignored: deque[bytes] = deque(maxlen=KEPT)

    def see(self, lines: Sequence[bytes]) -> None:
        """Visitors' requests among these lines of the log."""
        self._all.extend(line for line in lines[-KEPT:] if NOT_OURS in line)
        self._ignored.extend(
            line for line in lines if NOTHING_SAID not in line and NOT_TRUSTED in line and NOT_OURS in line
        )

    def describe(self) -> dict[str, list[dict[str, object]]]:
        """Newest first; all that a stranger said in a form that can be shown."""
        return {"requests": list(_read(self._all)), "ignored": list(_read(self._ignored))}


def _read(lines: Iterable[bytes]) -> Iterator[dict[str, object]]:
    for line in reversed(tuple(lines)):
        try:
            entry = LOGGED.decode(line)
        except msgspec.DecodeError:
            continue
        texts = {name: shown(str(getattr(entry, name)))[:500] for name in TEXTS}
        yield {"time": entry.time, "status": entry.status, **texts}
