"""Lives of a panel on the same files: each is a process of its own, in which people save at once, and which may be killed.

A round is two to four people at once, each with one operation; then everything that they were told, the history in the
database, its rows, the release on disk and what the engines run must fit together. A life that was killed is followed by
one that starts on what it left.
"""

import asyncio
import gc
import json
import os
import shutil
import sqlite3
import sys
import tempfile
import traceback
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy.orm import configure_mappers

from guardpanel.database import Database
from guardpanel.engines.answer_cache import FRESH
from guardpanel.errors import Problem
from guardpanel.models import Policy
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.rendering import DesiredState, EngineFacts, render
from guardpanel.sealing import Seal
from guardpanel.services import installation, policies, virtual_hosts
from guardpanel.services.history import history
from guardpanel.services.saving import snapshots
from guardpanel.services.saving.change import SaveRequest
from guardpanel.services.saving.changes import Changes
from guardpanel.services.truth import live_line, startup
from guardpanel.services.truth.reconcile import Reconciler
from guardpanel.settings import Settings
from tests.interleavings import model
from tests.interleavings.scheduler import KILLED, Clockwork, Fate
from tests.interleavings.world import World, WorldEngines

ROUNDS = 8
"Most in one life."

LATEST_KILL = 5000
"Points of a life at which it may be killed: about as many as a life of many rounds has."

NAMES, PORTS, THRESHOLDS = ("a", "b", "c"), (1, 2, 3), (5, 6, 7)

BY_THEMSELVES = {startup.PANEL.who, "operator"}
"Whose changes only put the live revision back."

WROTE = {"config_rejected": "rejected", "rolled_back": "rolled_back", "rollback_failed": "failed"}


@dataclass
class Journal:
    """What people asked for and were told, kept on disk at once: it outlives the process."""

    path: Path
    requests: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for line in self.path.read_text().splitlines() if self.path.exists() else []:
            self._take(json.loads(line))

    def note(self, **entry: Any) -> None:
        self._take(entry)
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def _take(self, entry: dict[str, Any]) -> None:
        self.requests.setdefault(entry["who"], {}).update(entry)


class Life:
    """One process."""

    def __init__(self, folder: Path, seed: str, kill_at: int | None) -> None:
        self.folder = folder
        self.fate = Fate(seed, folder, kill_at)
        self.world = World(folder, self.fate)
        self.journal = Journal(folder / "journal")

    async def live(self) -> None:
        settings = Settings(data_dir=self.folder)
        database = Database(settings.database)
        facts = await installation.engine_facts(database, settings)
        engines, seal = WorldEngines(settings, facts.secret, self.world), Seal.at(settings.secret_key)
        self.changes = Changes(database, engines, facts, self.folder / "lock", seal)
        self.reconciler = Reconciler(self.changes, self.folder, repairs=False)
        await self.start()
        rounds = self.fate.random.randint(1, ROUNDS)
        for _ in range(rounds):
            self.count()
            await asyncio.gather(*(self.person() for _ in range(self.fate.random.randint(2, 4))))
            await self.rest()
            await self.check()
            await self.settle_down()
            await self.check()

    def count(self) -> None:
        """One more round; one that is killed is judged by the life that follows."""
        path = self.folder / "rounds"
        path.write_text(str(int(path.read_text()) + 1))

    async def start(self) -> None:
        """As the panel does; then an operator puts back what could not be mended."""
        self.reconciler.problem = "starting"
        await self.settle_down()
        await self.check()

    async def settle_down(self) -> None:
        """Looks until nothing differs, as the panel's are seconds apart."""
        for _ in range(80):  # what cannot be brought up is tried ever more seldom
            await self.rest()
            with suppress(Problem):
                await self.reconciler.tick()
            await self.rest()
            watch = self.changes.watch
            if self.reconciler.problem is None and not watch.drift and await self.line() == "ok":
                return
            if self.fate.happens(0.5):
                with suppress(Problem):
                    await self.changes.put_back(SaveRequest("operator"))
        raise AssertionError(f"no rest: {self.reconciler.problem} {self.changes.watch} {await self.line()}")

    async def line(self) -> str:
        await asyncio.sleep(FRESH)  # a status that was asked for meanwhile is given again for so long
        async with self.changes.database.read() as session:
            return (await live_line.live_line(self.changes, session)).state

    async def rest(self) -> None:
        """Until nothing is under way: saves whose browser went away, and the tidying."""
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)

    async def person(self) -> None:
        operation = await self.operation()
        if operation is None:
            return
        who = f"p{len(self.journal.requests)}"
        key = who if self.fate.happens(0.3) else ""
        self.journal.note(who=who, **operation, since=self.newest())
        await self.fate.pause()
        doing = [asyncio.create_task(self.do(operation, SaveRequest(who, key)))]
        if key and self.fate.happens(0.3):
            doing.append(asyncio.create_task(self.do(operation, SaveRequest(who, key))))  # a double click
        if self.fate.happens(0.1):
            await asyncio.sleep(self.fate.seconds() * 10)
            for task in doing:
                task.cancel()  # the browser goes away
        for ended in asyncio.as_completed(doing):
            try:
                change = await ended
            except asyncio.CancelledError:
                self.journal.note(who=who, told=self.journal.requests[who].get("told", "nothing"))
            except Problem as problem:
                self.journal.note(who=who, told=problem.code, until=self.newest())
            else:
                self.journal.note(who=who, told="saved", change_id=change, until=self.newest())

    async def operation(self) -> dict[str, Any] | None:
        """Something that a person may do to what a page showed a moment ago."""
        choose = self.fate.random.choice
        noun = choose(("policy", "virtual_host", "virtual_host"))
        kind = choose(
            ("update",) * 6 + ("create", "create", "delete", "undo", "undo", "restore", "restore_one", "again")
        )
        if kind == "again":
            return {"kind": choose(("look", "settle", "put_back"))}
        rows = await self.rows_of(noun)
        policy_ids = [row_id for row_id, _ in await self.rows_of("policy")]
        if kind in {"undo", "restore", "restore_one"}:
            made = [change for change, _, outcome in self.attempts() if outcome == "live"]
            change = made[-1] if self.fate.happens(0.5) else choose(made)
            row = choose(rows)[0] if rows else 1
            return {"kind": kind, "change": change, **({"noun": noun, "id": row} if kind == "restore_one" else {})}
        if noun == "policy":
            fields: dict[str, Any] = {"name": choose(NAMES), "threshold": choose(THRESHOLDS)}
        else:
            fields = {"name": choose(NAMES), "port": choose(PORTS), "policy": choose([*policy_ids, None])}
        if kind == "create" or not rows:
            return {"kind": "create", "noun": noun, "fields": fields}
        row_id, version = choose(rows)
        version = version if self.fate.happens(0.9) else version - 1
        operation = {"kind": kind, "noun": noun, "id": row_id, "version": version}
        return operation if kind == "delete" else {**operation, "fields": fields}

    async def rows_of(self, noun: str) -> list[tuple[int, int]]:
        """Ids and versions."""
        async with self.changes.database.read() as session:
            if noun == "policy":
                return [(row.id or 0, row.version) for row in await policies.all_of_them(session)]
            return [(item.id or 0, item.version) for item in (await virtual_hosts.page(session)).items]

    async def do(self, operation: dict[str, Any], request: SaveRequest) -> int:
        """The same calls as the pages'. The number of the change."""
        changes = self.changes
        match operation["kind"], operation.get("noun"):
            case "look", _:
                await self.reconciler.tick()
                return 0
            case "settle", _:
                await changes.settle()
                return 0
            case "put_back", _:
                saved = await changes.put_back(request)
                return saved.change_id if saved else 0
            case "undo", _:
                return (await history.undo(changes, request, operation["change"])).change_id
            case "restore", _:
                return (await history.restore(changes, request, operation["change"])).change_id
            case "restore_one", noun:
                return (
                    await history.restore(changes, request, operation["change"], (str(noun), operation["id"]))
                ).change_id
            case "create", "policy":
                return (await policies.create(changes, request, policy_fields(operation["fields"]))).change_id
            case "update", "policy":
                fields = policy_fields(operation["fields"])
                return (
                    await policies.update(changes, request, operation["id"], fields, operation["version"])
                ).change_id
            case "delete", "policy":
                return (await policies.delete(changes, request, operation["id"], operation["version"])).change_id
            case "create", _:
                return (await virtual_hosts.create(changes, request, host_fields(operation["fields"]))).change_id
            case "update", _:
                fields_of_host = host_fields(operation["fields"])
                return (
                    await virtual_hosts.update(changes, request, operation["id"], fields_of_host, operation["version"])
                ).change_id
        return (await virtual_hosts.delete(changes, request, operation["id"], operation["version"])).change_id

    def tell(self) -> None:
        """The story so far, for whoever looks for the fault."""
        for who, entry in self.journal.requests.items():
            print(f"{who:4} {entry}")
        for change, author, outcome in self.attempts():
            print(f"change {change} by {author}: {outcome}")
        print(f"workers {self.world.workers}, the agent has {self.world.applications}", flush=True)

    # What must be so

    def query(self, sql: str) -> list[Any]:
        with sqlite3.connect(self.folder / "guardpanel.db") as connection:
            rows = connection.execute(sql).fetchall()
        connection.close()
        return rows

    def newest(self) -> int:
        return int(self.query("SELECT coalesce(max(id), 0) FROM deployment")[0][0])

    def attempts(self) -> list[tuple[int, str, str]]:
        return self.query("SELECT id, author, outcome FROM deployment ORDER BY id")

    async def check(self) -> None:
        attempts = self.attempts()
        assert not self.world.wrong, self.world.wrong[0]
        assert not [attempt for attempt in attempts if attempt[2] == "deploying"], f"left open: {attempts}"
        states = self.check_history(attempts)
        self.check_answers(attempts, states)
        async with self.changes.database.read() as session:
            taken = await snapshots.take(session)
        now = as_state(json.loads(taken))
        assert not states or now == states[max(states)], f"rows {now} are not those of the last change {states}"
        if await self.line() == "ok":
            await self.check_engines(taken)

    async def check_engines(self, taken: str) -> None:
        """What the rows say is what lies on disk and what runs."""
        bundle = await self.changes.renderer.rendered(taken)
        assert self.world.checksum == bundle.checksum, f"HAProxy runs {self.world.checksum}, rows say {bundle.checksum}"
        number = self.changes.engines.releases.current_number()
        assert number is not None, "nothing is current"
        release = self.changes.engines.releases.open(number)
        assert release.checksum == bundle.checksum, f"release {number} on disk is {release.checksum}"
        lost = {application.name for application in bundle.applications} - set(self.world.applications)
        assert not lost, f"the agent does not have {lost}"

    def check_history(self, attempts: list[tuple[int, str, str]]) -> dict[int, model.State]:
        """Each change that went through made of the rows before it what its operation says."""
        states: dict[int, model.State] = {}
        kept = dict(self.query(
            "SELECT d.id, coalesce(d.snapshot, r.snapshot) FROM deployment d LEFT JOIN revision r ON r.id = d.revision_id"
        ))  # fmt: skip
        for change, author, outcome in attempts:
            if outcome != "live":
                continue
            snapshot = as_state(json.loads(zlib.decompress(kept[change])))
            if states and author in BY_THEMSELVES:
                assert snapshot == states[max(states)], (
                    f"change {change} of guardpanel itself changed rows: {states}, {snapshot}"
                )
            elif states:
                operation = self.journal.requests[author]
                if fault := model.fault(operation, states, snapshot):
                    raise AssertionError(f"change {change} by {author} {fault}: {operation} on {states[max(states)]}")
            states[change] = snapshot
        return states

    def check_answers(self, attempts: list[tuple[int, str, str]], states: dict[int, model.State]) -> None:
        """Whoever was told "saved" is in the history, once; whoever was not is not in it, and was refused rightly."""
        for who, entry in self.journal.requests.items():
            same = self.same_save(who, entry)
            mine = [(change, outcome) for change, author, outcome in attempts if author in same]
            through = [change for change, outcome in mine if outcome == "live"]
            answer = entry.get("told")
            assert len(through) <= 1, f"{who} went through twice: {mine}"
            if entry["kind"] in {"look", "settle"}:
                continue
            if answer == "saved":
                assert through == [entry["change_id"]], f"{who} was told saved: {entry}, the history has {mine}"
            elif answer in WROTE:
                since = [outcome for change, outcome in mine if change > entry["since"]]
                assert WROTE[answer] in since, f"{who} {entry} has {mine}"
            elif answer in {"stale", "not_found", "conflict", "invalid"}:
                assert who not in [author for _, author, _ in attempts], f"{who} was refused: {entry}"
                assert self.was_right(entry, states), f"{who} was refused for nothing: {entry}"

    def same_save(self, who: str, entry: dict[str, Any]) -> set[str]:
        """Everybody who undoes the same change asks for one save."""
        if entry["kind"] != "undo":
            return {who}
        requests = self.journal.requests.items()
        return {key for key, other in requests if (other["kind"], other.get("change")) == ("undo", entry["change"])}

    def was_right(self, entry: dict[str, Any], states: dict[int, model.State]) -> bool:
        """Whether the model refuses it likewise at some moment between the question and the answer."""
        first = max((change for change in states if change <= entry["since"]), default=0)
        for last in [change for change in states if first <= change <= entry["until"]]:
            try:
                model.after(entry, {change: state for change, state in states.items() if change <= last})
            except model.Refused as refused:
                if str(refused) == entry["told"]:
                    return True
        return False


def policy_fields(fields: dict[str, Any]) -> PolicyFields:
    return PolicyFields(name=fields["name"], inbound_anomaly_threshold=fields["threshold"])


def host_fields(fields: dict[str, Any]) -> VirtualHostFields:
    return VirtualHostFields.model_validate({
        "name": fields["name"], "hostnames": [f"{fields['name']}.example"], "policy_id": fields["policy"],
        "servers": [{"address": f"127.0.0.1:{fields['port']}"}],
    })  # fmt: skip


def as_state(snapshot: dict[str, Any]) -> model.State:
    """The rows as the model has them."""
    tables = {
        name: [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
        for name, table in snapshot.items()
    }
    servers = {row["virtual_host_id"]: row["address"] for row in tables["server"]}
    names = {row["virtual_host_id"]: row["name"] for row in tables["hostname"]}
    state: dict[str, dict[str, Any]] = {}
    for row in tables["policy"]:
        state[f"policy:{row['id']}"] = {
            "version": row["version"], "name": row["name"], "threshold": row["inbound_anomaly_threshold"],
        }  # fmt: skip
    for row in tables["virtualhost"]:
        assert names[row["id"]] == f"{row['name']}.example", "a virtual host has another's hostname"
        state[f"virtual_host:{row['id']}"] = {
            "version": row["version"], "name": row["name"], "port": int(servers[row["id"]].rpartition(":")[2]),
            "policy": row["policy_id"],
        }  # fmt: skip
    return state


# Processes


def in_a_process(do: Callable[[], None]) -> int:
    """Its exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        do()
        code = 0
    except BaseException:  # noqa: BLE001 whatever it is, the parent must hear of it
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def live(folder: Path, seed: str, kill_at: int | None, plant: Callable[[], None]) -> None:
    gc.disable()
    life = Life(folder, seed, kill_at)
    life.fate.rule()
    plant()
    loop = Clockwork()
    try:
        loop.run_until_complete(life.live())
    except BaseException:
        life.tell()
        raise


@dataclass(frozen=True)
class Ended:
    rounds: int
    lives: int
    killed: int
    fault: bool


def one_run(template: Path, seed: int, lives: int, plant: Callable[[], None] = lambda: None) -> Ended:
    """Lives one after another on the same files. Where one fails, its files stay for a look."""
    folder = Path(tempfile.mkdtemp(prefix="gp", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    (folder / "run").mkdir()
    (folder / "rounds").write_text("0")
    shutil.copy(template, folder / "guardpanel.db")
    killed, code, at = 0, 0, 0
    for at in range(lives):
        fate = Fate(f"{seed}/{at}/kill", folder, None)
        kill_at = fate.random.randint(1, LATEST_KILL) if at + 1 < lives else None
        code = in_a_process(partial(live, folder, f"{seed}/{at}", kill_at, plant))
        killed += code == KILLED
        if code not in {0, KILLED}:
            break
    rounds = int((folder / "rounds").read_text())
    shutil.rmtree(folder)
    return Ended(rounds, at + 1, killed, code not in {0, KILLED})


def make_template(path: Path) -> None:
    """A migrated database; made in a process of its own, since whoever forks must have no threads. And what every life
    would do again is done once: templates and mappers."""
    configure_mappers()
    facts = EngineFacts((("127.0.0.1", 80),), "/probe", "/agent", "/ca", "secret")
    policy = Policy(id=1, name="Default").replace(policies.DEFAULT)
    row = {
        **policy.model_dump(),
        "allowed_methods": ["GET"],
        "allowed_content_types": [],
        "content_type_readings": [],
        "skip_paths": [],
    }
    render(DesiredState.from_rows({**snapshots.ABSENT, "traffic": [], "policy": [row]}, facts))

    async def make() -> None:
        database = Database(f"sqlite+aiosqlite:///{path}")
        await database.migrate()
        await database.close()

    if in_a_process(lambda: asyncio.run(make())) != 0:
        raise SystemExit("no database could be made")
