"""One installation with its authority (pebble) and name server (Knot), whose panel orders certificates, and what must be after each.

What `order_kills` and `order_faults` share.
"""

import asyncio
import contextlib
import random
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from guardpanel.sealing import Seal
from tests.acme.authority import KEY_NAME, SECRET, Knot, Pebble
from tests.crash.ground import ENDED, SAVING, UP, Ground, ground
from tests.crash.oracle import CURRENT, opened, opened_copy
from tests.crash.ordering import KINDS, STUMBLED, live
from tests.crash.passes import Diverged, Result
from tests.crash.syscalls import Call, Child, Shared, Verdict
from tests.ports import free_port

REPLACED = "The certificate was already replaced by another order."
"What the authority says to the second order of a renewal whose first answer was lost."


@dataclass(frozen=True)
class Begun:
    """What was there when an order was asked for. `order`: the number of the last one."""

    name: str
    order: int
    made: int
    issued: int
    serial: str


class Orders:
    def __init__(self, made: Ground, pebble: Pebble, knot: Knot, seed: int) -> None:
        self.ground, self.pebble, self.knot = made, pebble, knot
        self.chance = random.Random(seed)
        self.seal = Seal.at(made.settings.secret_key)
        self.result = Result()
        self._panel: Child | None = None
        self._orders, self._heard = 0, 0
        "Of this panel."

    def panel(self, what: str) -> Child:
        """The one that lives, or a new one, which has gone on with what is open."""
        if self._panel is None:
            self._panel, self._orders, self._heard = self.fork(), 0, 0
            if not self._panel.run(UP):
                raise Diverged(f"{what}: the next panel did not start: {self.ground.words()}")
            if failed := (self._panel.shared.about(UP) or {})["failed"]:
                raise Diverged(f"{what}: the next panel's start says: {failed}")
        return self._panel

    def fork(self) -> Child:
        settings, origin, url = self.ground.settings, self.ground.origin, self.pebble.url

        def work(shared: Shared) -> None:
            tempfile.tempdir = str(self.ground.folder / "tmp")
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(live(shared, settings, origin, url))

        return Child(work, self.ground.folder, self.ground.output)

    def end(self) -> None:
        if self._panel is not None:
            self._panel.kill()
            self._panel = None

    def begin_order(self, kind: str) -> Begun:
        child = self.panel("before an order")
        name = KINDS[kind]
        with opened(self.ground.folder) as database:
            last = database.execute("SELECT seq FROM sqlite_sequence WHERE name = 'acmeorder'").fetchone()
        made, issued = self.count()
        begun = Begun(name, last[0] if last else 0, made, issued, self.content(name)[0])
        child.shared.order(kind=kind)
        assert child.run(f"{SAVING} {self._orders}"), self.ground.words()
        return begun

    def end_order(self, decide: Callable[[Call], Verdict]) -> bool:
        """Whether the panel lived until its end."""
        is_over = self.panel("in an order").run(f"{ENDED} {self._orders}", decide)
        self._orders += 1
        if not is_over:
            self.end()
        return is_over

    def begin(self) -> None:
        """The virtual hosts with their first certificates."""
        for kind in ("begin", "issue"):
            self.panel("at first").shared.order(kind=kind)
            assert self.end_order(lambda _: None), self.ground.words()

    # What there is

    def count(self) -> tuple[int, int]:
        """Orders that the authority took, and certificates that it issued."""
        log = (self.pebble.folder / "log").read_text()
        return log.count("Added order"), log.count("Issued certificate serial")

    def content(self, name: str) -> tuple[str, bytes]:
        """Serial and key of what the database says is in use."""
        with opened(self.ground.folder) as database:
            row = database.execute(f"SELECT * FROM ({CURRENT}) WHERE name = ?", (name,)).fetchone()
        return (row["serial"], self.key(row, "certificate_content")) if row else ("", b"")

    def key(self, row: sqlite3.Row, kind: str) -> bytes:
        return self.seal.open(row["sealed_key"], f"{kind}:{row['id']}")

    def begun_since(self, begun: Begun) -> list[sqlite3.Row]:
        """Also while the panel is stopped anywhere."""
        with opened_copy(self.ground.folder) as database:
            return database.execute("SELECT * FROM acmeorder WHERE id > ? ORDER BY id", (begun.order,)).fetchall()

    def bad_steps(self, row: sqlite3.Row) -> list[str]:
        """What the page of the order tells of failures."""
        with opened(self.ground.folder) as database:
            steps = database.execute(
                "SELECT words, detail FROM acmestep WHERE order_id = ? AND is_bad", (row["id"],)
            ).fetchall()
        return [f"{step['words']} {step['detail']}".strip() for step in steps]

    def stumbles(self) -> list[dict[str, Any]]:
        """Failures of the panel's worker since the last look."""
        heard = self._panel.shared.heard() if self._panel is not None else []
        since, self._heard = heard[self._heard :], len(heard)
        return [message for message in since if message["word"] == STUMBLED]

    # What must be

    def is_put_away(self, row: sqlite3.Row) -> bool:
        """Nothing of the order is left to do, and no key is kept with it."""
        return bool(row["ended_at"] and not row["sealed_key"] and row["phase"] == "clean")

    def about_authority(self, begun: Begun, orders: range, certificates: range) -> Iterator[str]:
        made, issued = self.count()
        if made - begun.made not in orders:
            yield f"the authority took {made - begun.made} orders"
        if issued - begun.issued not in certificates:
            yield f"the authority issued {issued - begun.issued} certificates"
        if texts := self.knot.texts(f"_acme-challenge.{begun.name}"):
            yield f"records are left: {texts}"


@contextlib.contextmanager
def orders(haproxy: str, seed: int) -> Iterator[Orders]:
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="gpk") as folder, Knot() as knot, Pebble(port, knot.port) as pebble:
        key_file = Path(folder) / "tsig.key"
        key_file.write_text(f'key "{KEY_NAME}" {{ algorithm hmac-sha256; secret "{SECRET}"; }};')
        settings = {"dns_server": f"127.0.0.1:{knot.port}", "dns_key_file": str(key_file)}
        settings |= {"http_bind": f"127.0.0.1:{port}", "acme_ca_file": str(pebble.ca_file)}
        with ground(haproxy, None, **settings) as made:
            installation = Orders(made, pebble, knot, seed)
            try:
                installation.begin()
                yield installation
            finally:
                installation.end()
                installation.result.requests, installation.result.failed = made.count.requests, made.count.failed
                if made.count.failed:
                    print(made.count.failures(), flush=True)
