"""The last known addresses of servers' names. A name keeps its address while the resolver has none for it or does not respond.
They are stored on disk, so that a machine that starts without DNS serves as before."""

import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from guardpanel.engines.files import write_atomically
from guardpanel.engines.servers.names import Resolution


@dataclass(frozen=True)
class KnownAddress:
    """`address` is empty if none was ever resolved. `problem` is why the last look-up failed."""

    address: str
    since: datetime
    "When the name first resolved to this address."
    confirmed: datetime
    "When it last did."
    problem: str = ""

    @property
    def is_held(self) -> bool:
        return bool(self.address and self.problem)


class Addresses:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = _read(path)
        self._kept = self._stored_values()

    def of(self, name: str) -> KnownAddress | None:
        return self._known.get(name)

    def all(self) -> dict[str, str]:
        """All known names."""
        return {name: known.address for name, known in self._known.items() if known.address}

    def learn(self, resolutions: Mapping[str, Resolution]) -> None:
        """Take the results of look-ups. An address is kept as long as the name still has it, even if it also has others."""
        now = datetime.now(UTC)
        for name, answer in resolutions.items():
            known = self._known.get(name) or KnownAddress("", now, now)
            if known.address in answer.addresses:
                known = replace(known, confirmed=now, problem="")
            elif answer.addresses:
                known = KnownAddress(answer.addresses[0], now, now)
            else:
                known = replace(known, problem=answer.problem)
            self._known[name] = known

    def take(self, addresses: Mapping[str, str]) -> None:
        """Addresses that HAProxy has for names of which none is known here."""
        now = datetime.now(UTC)
        for name, address in addresses.items():
            known = self._known.get(name) or KnownAddress("", now, now)
            if not known.address:
                self._known[name] = KnownAddress(address, now, now, known.problem)

    def keep(self, names: Collection[str]) -> None:
        """Forget all other names, and store what changed. Blocking. Raises OSError if the disk cannot be written."""
        known = dict(self._known)  # A save may add one meanwhile.
        self._known = {name: known[name] for name in known if name in names}
        addresses = self._stored_values()
        if addresses != self._kept:
            text = json.dumps({name: asdict(known) for name, known in dict(self._known).items()}, default=str, indent=1)
            write_atomically(self._path, text.encode())
            self._kept = addresses

    def _stored_values(self) -> dict[str, tuple[str, str]]:
        """Without the time of the last look-up, which would cause a write each time."""
        return {name: (known.address, known.problem) for name, known in dict(self._known).items()}


def _read(path: Path) -> dict[str, KnownAddress]:
    """Empty if there is no such file, or if another program wrote it."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        return {name: _known(entry) for name, entry in json.loads(path.read_text("utf-8")).items()}
    return {}


def _known(entry: Mapping[str, str]) -> KnownAddress:
    since, confirmed = (datetime.fromisoformat(entry[name]) for name in ("since", "confirmed"))
    address = entry["address"] and str(ip_address(entry["address"]))
    return KnownAddress(address, since, confirmed, str(entry["problem"]))
