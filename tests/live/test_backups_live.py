"""A backup made while saves go on, restored on an empty machine: every row and every rendered byte, and it works."""

import io
import json
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlmodel import SQLModel

from guardpanel.models.policies.enforcement import EnforcementMode
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.services import policies, virtual_hosts
from guardpanel.services.backups import copies, restores
from guardpanel.services.backups.backups import Backups
from guardpanel.services.saving import snapshots
from guardpanel.services.saving.changes import SaveRequest
from tests.factories import an_exclusion
from tests.live.origins import certificate
from tests.live.saves import Installation, a_virtual_host, installation_of
from tests.live.stack import wait_until
from tests.panel import ROOT, Panel
from tests.web import Person, a_host, a_policy, an_account

pytestmark = pytest.mark.one_haproxy

WORDS = "correct horse battery"
ATTACK = "/?id=1%27%20OR%20%271%27=%271"
KEYS = {table.name: next(iter(table.primary_key)).name for table in SQLModel.metadata.tables.values()}
"By table: the column that orders its rows."

Rows = dict[str, list[dict[str, Any]]]


def rows(data: Path) -> Rows:
    with closing(sqlite3.connect(data / "guardpanel.db")) as database:
        database.row_factory = sqlite3.Row
        return {
            table: [dict(row) for row in database.execute(f"SELECT * FROM {table} ORDER BY {key}")]
            for table, key in KEYS.items()
        }


def release(data: Path, number: object) -> dict[str, bytes]:
    root = data / "releases" / str(number)
    files = {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
    manifest = json.loads(files.pop("manifest.json"))
    assert manifest.pop("release") == number
    return {**files, "manifest": json.dumps(manifest).encode()}


def fill(panel: Panel, port: int) -> None:
    """Virtual hosts in three scripts, policies that block and detect, two accounts, an authority's certificate."""
    an_account(panel)
    an_account(panel, "vera@example.org", "viewer")
    with Person(panel) as ada:
        saves = [
            ada.post("/policies", a_policy(name="Strict", enforcement_mode="block", skip_paths=".css\n/assets/")),
            ada.post("/virtual-hosts", a_host(port, hostnames="bücher.example\nwww.bücher.example", policy_id="2", notes="Grüße\n🦊")),
            ada.post("/virtual-hosts", a_host(port, hostnames="*.例え.example", policy_id="1")),
            ada.post(
                "/virtual-hosts",
                a_host(port, hostnames="пример.example", tls_verify="ca", tls_ca=certificate("app.lan").authority,
                       tls_name="app.lan", **{"servers.1.address": "https://127.0.0.2:8443", "servers.1.enabled": "on", "servers.1.health_check": "on"}),
            ),
            ada.post("/virtual-hosts", a_host(port, hostnames="gone.example")),
            ada.post("/virtual-hosts/4/delete", {"version": "1"}),
            ada.post("/policies/2/exclusions", an_exclusion(reason="Grüße\n🦊")),
        ]  # fmt: skip
        assert [save.status for save in saves] == [200] * len(saves), [save.text for save in saves]


class Saving(threading.Thread):
    """Somebody who adds one virtual host after the other, for as long as the command takes, which mostly starts Python."""

    def __init__(self, panel: Panel, port: int) -> None:
        super().__init__(daemon=True)
        self.panel, self.port = panel, port
        self.enough = threading.Event()
        self.statuses: list[int] = []

    def run(self) -> None:
        with Person(self.panel) as ada:
            while not self.enough.is_set():
                fields = a_host(self.port, hostnames=f"h{len(self.statuses)}.example")
                self.statuses.append(ada.post("/virtual-hosts", fields).status)
                self.enough.wait(0.1)


@dataclass
class Machine:
    """The machine that was restored, and what was on it before: `there` is the data directory of the old one."""

    panel: Panel
    there: Path
    revision: int
    output: str
    refused: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def machine(haproxy: str, origin_port: int) -> Iterator[Machine]:
    parent = Path(tempfile.mkdtemp(prefix="gp"))
    panel, file = Panel(parent / "d", haproxy), parent / "b"
    panel.environment["GUARDPANEL_KEEP_RELEASES"] = "1000"  # or the one to compare with would be gone
    try:
        panel.start()
        fill(panel, origin_port)
        saving = Saving(panel, origin_port)
        saving.start()
        wait_until(lambda: saving.statuses or not saving.is_alive(), "the first save")  # from now on one is under way
        before = len(saving.statuses)
        panel.command("backup", str(file), "--passphrase-stdin", stdin=f"{WORDS}\n")
        saving.enough.set()
        saving.join(60)
        assert set(saving.statuses) == {200}
        assert len(saving.statuses) > before
        refused = subprocess.run(
            [sys.executable, "-m", "guardpanel", "restore", str(file)],
            env=panel.environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        panel.stop()
        panel.data.rename(parent / "old")
        output = panel.command("restore", str(file), "--passphrase-stdin", stdin=f"{WORDS}\n")
        revision = next(int(word) for word in output.replace(")", " ").split() if word.isdigit())
        yield Machine(panel, parent / "old", revision, output, refused)
    finally:
        panel.stop()
        shutil.rmtree(parent, ignore_errors=True)


def test_while_the_panel_runs_the_command_says_where_to_restore(machine: Machine) -> None:
    assert machine.refused.returncode == 1
    assert "Another panel is already running" in machine.refused.stderr
    assert "System › Backup" in machine.refused.stderr


def test_every_row_is_as_it_was(machine: Machine) -> None:
    assert "goes live when guardpanel starts" in machine.output
    there, here = rows(machine.there), rows(machine.panel.data)

    assert as_backed_up(there, machine.revision, here) == here


def as_backed_up(there: Rows, revision: int, here: Rows) -> Rows:
    """What the old machine had when that revision was live; it went on after that."""
    expected = dict(there)
    last = next(row for row in there["revision"] if row["id"] == revision)
    kept = json.loads(snapshots.unpacked(last["snapshot"]))
    for table, own in kept.items():
        expected[table] = [dict(zip(own["columns"], row, strict=True)) for row in own["rows"]]
        for row in expected[table]:
            row.update({name: json.dumps(value) for name, value in row.items() if isinstance(value, list | dict)})
    for table in ("revision", "deployment"):
        expected[table] = there[table][: len(here[table])]
    if here["deployment"][-1]["message"] == copies.UNDER_WAY:  # a save was between its commit and its proof
        assert here["deployment"][-1]["outcome"] == "rolled_back"
        assert here["deployment"][-1]["revision_id"] == revision + 1
        expected["deployment"] = [*expected["deployment"][:-1], here["deployment"][-1]]
    expected["session"] = expected["accesstoken"] = []
    expected["acmekey"] = here["acmekey"]  # an account's key stays on its machine: another makes its own
    note = {"name": "restored", "value": here["installation"][-1]["value"]}
    expected["installation"] = [*(row for row in there["installation"] if row["name"] != "setup_token"), note]
    return expected


def test_a_restored_backup_goes_live_byte_for_byte(machine: Machine) -> None:
    offline = rows(machine.panel.data)

    machine.panel.start()

    online = rows(machine.panel.data)
    record, attempt = online["revision"].pop(), online["deployment"].pop()
    offline["installation"].pop()
    assert online == offline, "nothing but the restore's own record is new"
    assert attempt["outcome"] == "live"
    assert attempt["revision_id"] == record["id"]
    assert str(attempt["summary"]).startswith("Restored a backup of")
    assert release(machine.panel.data, record["id"]) == release(machine.there, machine.revision)
    assert (machine.panel.data / "current").resolve().name == str(record["id"])
    ask = {"xn--bcher-kva.example": ("/page", 200), "a.xn--r8jz45g.example": ("/", 200), "gone.example": ("/", 421)}
    for host, (path, status) in ask.items():
        assert httpx2.get(machine.panel.proxy + path, headers={"host": host}).status_code == status
    assert httpx2.get(machine.panel.proxy + ATTACK, headers={"host": "xn--bcher-kva.example"}).status_code == 403
    with Person(machine.panel) as ada:
        assert "bücher.example" in ada.get("/virtual-hosts").text
        assert ada.post("/policies", a_policy(name="After")).status == 200
    Person(machine.panel, "vera@example.org").client.close()


# Without pages: engines that run already


@pytest.fixture
async def two(haproxy: str) -> AsyncIterator[tuple[Installation, Installation]]:
    async with AsyncExitStack() as stack:
        machines = [await stack.enter_async_context(installation_of(haproxy)) for _ in range(2)]
        yield machines[0], machines[1]


@pytest.fixture
async def installation(haproxy: str) -> AsyncIterator[Installation]:
    async with installation_of(haproxy) as machine:
        yield machine


@pytest.mark.anyio
async def test_a_restore_goes_live_with_the_backups_secret(
    two: tuple[Installation, Installation], origin_port: int
) -> None:
    old, new = two
    strict = PolicyFields(name="Strict", enforcement_mode=EnforcementMode.BLOCK)
    await policies.create(old.changes, SaveRequest("ada"), strict)
    await virtual_hosts.create(old.changes, SaveRequest("ada"), a_virtual_host(origin_port, policy_id=2))
    out = io.BytesIO()
    await Backups(old.settings).write(out, "")

    candidate = await Backups(new.settings).take(out, "")
    report = await restores.from_command(new.changes, candidate)

    assert "Live in" in report
    assert new.changes.renderer.facts.secret == old.changes.renderer.facts.secret
    async with httpx2.AsyncClient(base_url=new.proxy, headers={"host": "shop.example"}) as visitor:
        assert (await visitor.get("/page")).status_code == 200
        assert (await visitor.get(ATTACK)).status_code == 403
    saved = await virtual_hosts.create(
        new.changes, SaveRequest("ada"), a_virtual_host(origin_port, hostnames=["next.example"])
    )
    assert saved.is_new, "the save after it is proved under that secret, too"


@pytest.mark.anyio
async def test_an_old_worker_says_which_configuration_it_still_runs(
    installation: Installation, origin_port: int
) -> None:
    await virtual_hosts.create(installation.changes, SaveRequest("ada"), a_virtual_host(origin_port))
    before = (await installation.engines.status()).haproxy.checksum
    assert await installation.engines.drop_unused() == set()
    with closing(socket.create_connection(installation.settings.http_binds[0], 60)) as open_request:
        open_request.sendall(b"POST / HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 9\r\n\r\n")
        await virtual_hosts.create(
            installation.changes, SaveRequest("ada"), a_virtual_host(origin_port, hostnames=["next.example"])
        )

        assert await installation.engines.drop_unused() == {before}
