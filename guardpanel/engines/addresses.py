"""The addresses that names of servers were last found to have: held while their name has none, or nobody answers for it.

On disk beside what runs, so that a machine that starts without DNS serves as it did.
"""

import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from guardpanel.engines.names import Resolution
from guardpanel.engines.releases import write_atomically


@dataclass(frozen=True)
class KnownAddress:
    """`address` is empty where none was ever found; `problem` is why the last look-up found none."""

    address: str
    since: datetime
    "When it was first found to be this one."
    confirmed: datetime
    "When it was last found."
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
        """Those that are known, by name."""
        return {name: known.address for name, known in self._known.items() if known.address}

    def learn(self, resolutions: Mapping[str, Resolution]) -> None:
        """What look-ups brought. An address that a name still has is not left for another of its addresses."""
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
        """What HAProxy has for names of which nothing was found here."""
        now = datetime.now(UTC)
        for name, address in addresses.items():
            known = self._known.get(name) or KnownAddress("", now, now)
            if not known.address:
                self._known[name] = KnownAddress(address, now, now, known.problem)

    def keep(self, names: Collection[str]) -> None:
        """Forget all others, and write down what is not on disk yet. In a thread; OSError where the disk takes nothing."""
        known = dict(self._known)  # a save may learn one meanwhile
        self._known = {name: known[name] for name in known if name in names}
        addresses = self._stored_values()
        if addresses != self._kept:
            text = json.dumps({name: asdict(known) for name, known in dict(self._known).items()}, default=str, indent=1)
            write_atomically(self._path, text.encode())
            self._kept = addresses

    def _stored_values(self) -> dict[str, tuple[str, str]]:
        """Without the time of the last look, or each look would be a write."""
        return {name: (known.address, known.problem) for name, known in dict(self._known).items()}


def _read(path: Path) -> dict[str, KnownAddress]:
    """Nothing where there is no such file, or another program's."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        return {name: _known(entry) for name, entry in json.loads(path.read_text("utf-8")).items()}
    return {}


def _known(entry: Mapping[str, str]) -> KnownAddress:
    since, confirmed = (datetime.fromisoformat(entry[name]) for name in ("since", "confirmed"))
    address = entry["address"] and str(ip_address(entry["address"]))
    return KnownAddress(address, since, confirmed, str(entry["problem"]))
