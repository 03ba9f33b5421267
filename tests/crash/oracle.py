"""Whether database, release files, HAProxy and the agent agree, asked of each by our own means.

Nothing here is the panel's verdict: SQL, sockets, hashes and requests of our own. Of the product it uses only the pure
renderer, to say which bytes the rows should be.
"""

import asyncio
import contextlib
import functools
import hashlib
import json
import os
import shutil
import socket
import sqlite3
import tempfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from guardpanel import readable_yaml
from guardpanel.acme.keys import thumbprint
from guardpanel.bundle import SERVERS
from guardpanel.certificates.served import ServedCertificate, ServedCertificates
from guardpanel.engines import HAProxy
from guardpanel.engines.haproxy.master_cli import parse_processes
from guardpanel.engines.processes.machine import open_files
from guardpanel.engines.runtime.server_swapping import differences, parsed
from guardpanel.engines.servers.handover import rows_in
from guardpanel.models import NOUNS
from guardpanel.models.certificates.certificate import Source
from guardpanel.rendering import DesiredState, EngineFacts, render
from guardpanel.sealing import Seal
from guardpanel.services.installation import asked_again
from guardpanel.services.server_states import State
from guardpanel.settings import Settings
from tests.crash.outside import ATTACK, STEADY
from tests.crash.world import Bans, Certificate, Denied, Host, Rules, World
from tests.live.tls import leaf

TABLES = tuple(table.name for noun in NOUNS.values() for table in noun.tables)
CURRENT = """SELECT content.*, certificate.name FROM certificate JOIN certificatecontent AS content
    ON content.certificate_id = certificate.id AND content.certificate_created_at = certificate.created_at
    WHERE content.id = (SELECT max(id) FROM certificatecontent AS newest WHERE newest.retired_at IS NULL
    AND newest.certificate_id = certificate.id AND newest.certificate_created_at = certificate.created_at)"""
"The current content of each certificate, with its name."

HOLDS = "lifted_at IS NULL AND (ends_at IS NULL OR ends_at > datetime('now'))"
FOREVER = 9_999_999_999
"As HAProxy's maps have it."
END = f"coalesce(cast(strftime('%s', ends_at) AS INTEGER), {FOREVER})"
BANNED = f"SELECT * FROM ban WHERE {HOLDS}"

IS_FED = "filled_from <> 'hand'"
APPLYING = f"""SELECT name, list.id, CASE WHEN {IS_FED} THEN coalesce(feed.content, '') ELSE list.content END
    FROM addresslist AS list LEFT JOIN feed ON feed.address_list_id = list.id AND feed.list_created_at = list.created_at"""
"Of each list the entries that count: its own, or what its feed has brought."

PATIENCE_SECONDS = 60.0
PROBES = 4


@functools.cache
def abilities(haproxy: str) -> dict[str, bool]:
    """What the binary can, as facts of the renderer. Asked by a fork: who forks panels has neither threads nor a loop."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            facts = asyncio.run(asked_again(EngineFacts((), "", "", "", ""), HAProxy(haproxy)))
            values = {place.name: getattr(facts, place.name) for place in fields(EngineFacts)}
            known = {name: value for name, value in values.items() if isinstance(value, bool)}
            os.write(writing, json.dumps(known).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        known_abilities: dict[str, bool] = json.loads(answer.read())
    os.waitpid(pid, 0)
    return known_abilities


@dataclass
class Findings:
    """What was found: the world that the database says, and every disagreement in words."""

    world: World
    revision: int
    wrong: list[str] = field(default_factory=list)
    attempts: list[tuple[int, str, str]] = field(default_factory=list)
    "Number, outcome and message of every deployment."


class Oracle:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = settings.data_dir
        self.origin_answers: dict[str, str | None] = {}
        "Hostnames that were asked before, by the policy's mode then; gone ones must answer 421."
        self.kept_out = set[str]()
        "Addresses that were asked from before and got no answer; who is let in again must get one."

    def look(self, *, at_rest: bool = False) -> Findings:
        """Ask everybody. Raises nothing of what is found. `at_rest`: the agent must have let go of what nobody needs."""
        with opened(self.folder) as database:
            findings = Findings(world_of(database), 0)
            rows = _rows(database)
            self._deployments(database, findings)
            live = _live(database)
            known = dict(database.execute("SELECT name, value FROM installation").fetchall())
            certificates = self._certificates(database)
            secret, memory = str(known["probe_secret"]), int(known["memory_mib"])
            self._access(database, findings)
            account, lists = self._account(database), _contents(database)
        if live is None:
            findings.wrong.append("no deployment is live")
            return findings
        findings.revision, checksum, snapshot = live
        self._rows_are_the_revisions(rows, snapshot, findings)
        files = self._release(findings.revision, checksum, findings)
        self._rendered(rows, secret, memory, certificates, account, lists, files, findings)
        for ask in (self._haproxy, self._agent, self._traffic):
            try:
                ask(checksum, files, secret, findings)
            except (OSError, ValueError, KeyError, IndexError) as error:
                findings.wrong.append(f"{ask.__name__}: {error!r}")
        if at_rest:
            self._at_rest(files, findings)
        return findings

    # The database

    def _deployments(self, database: sqlite3.Connection, findings: Findings) -> None:
        rows = database.execute("SELECT id, outcome, message, before FROM deployment ORDER BY id").fetchall()
        findings.attempts = [(row["id"], row["outcome"], row["message"]) for row in rows]
        for row in rows:
            if row["outcome"] == "deploying":
                findings.wrong.append(f"deployment {row['id']} is still deploying")
            elif row["before"] is not None:
                findings.wrong.append(f"deployment {row['id']} is {row['outcome']} and keeps the rows before it")
        if (verdict := database.execute("PRAGMA quick_check").fetchone()[0]) != "ok":
            findings.wrong.append(f"the database is damaged: {verdict}")

    def _access(self, database: sqlite3.Connection, findings: Findings) -> None:
        """Each network is banned once, and each entry is in its list once. The files outside
        the releases have the bans, and what feeds brought."""
        for network, bans in findings.world.bans.items():
            if bans.active > 1:
                findings.wrong.append(f"{network} is banned {bans.active} times")
        for name, listed in findings.world.lists.items():
            if len(set(listed.networks)) < len(listed.networks):
                findings.wrong.append(f"the list {name} has entries twice")
        wanted = sorted(
            f"{network} {end}" for network, end in database.execute(f"SELECT network, {END} FROM ({BANNED})")
        )
        if sorted(self.settings.bans_map.read_text().splitlines()) != wanted:
            findings.wrong.append("bans.map has other bans than the database")
        for (number,) in database.execute(f"SELECT id FROM addresslist WHERE {IS_FED}"):
            (listed,) = (listed for listed in findings.world.lists.values() if listed.id == number)
            lines = (self.settings.feeds_dir / f"{number}.map").read_text().splitlines()
            if [line.split(" ")[0] for line in lines] != list(listed.networks):
                findings.wrong.append(f"{number}.map has other entries than the feed of the list has in the database")

    def _rows_are_the_revisions(
        self, rows: dict[str, list[dict[str, object]]], snapshot: bytes, findings: Findings
    ) -> None:
        kept = json.loads(zlib.decompress(snapshot))
        for table in TABLES:
            wanted = [dict(zip(kept[table]["columns"], row, strict=True)) for row in kept[table]["rows"]]
            if rows[table] != wanted:
                findings.wrong.append(f"the rows of {table} are not those of revision {findings.revision}")

    # The release on disk

    def _release(self, revision: int, checksum: str, findings: Findings) -> dict[str, bytes]:
        """`current` leads to it, and every file is what the manifest says; the files."""
        link, path = self.folder / "current", self.folder / "releases" / str(revision)
        if not link.is_symlink() or link.resolve() != path:
            findings.wrong.append(f"current leads to {link.resolve().name}, revision {revision} is live")
        try:
            manifest = json.loads((path / "manifest.json").read_bytes())
        except (OSError, ValueError) as error:
            findings.wrong.append(f"release {revision} has no manifest: {error}")
            return {}
        files = {
            str(file.relative_to(path)): file.read_bytes()
            for folder, _, names in os.walk(path, followlinks=True)  # Into the folders that releases share.
            for file in (Path(folder, name) for name in names)
            if file.name != "manifest.json"
        }
        if manifest["checksum"] != checksum:
            findings.wrong.append(
                f"release {revision} is {manifest['checksum'][:12]}, the database says {checksum[:12]}"
            )
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        if {**manifest["files"], **manifest["secrets"], **manifest["data"]} != hashes:
            findings.wrong.append(f"release {revision}'s files are not those of its manifest")
        return files

    def _certificates(self, database: sqlite3.Connection) -> ServedCertificates:
        """As the database has them, opened with the key that stands beside it."""
        seal = Seal.at(self.settings.secret_key)
        served = [
            ServedCertificate(
                certificate_id=row["certificate_id"],
                source=Source(row["source"]),
                names=tuple(json.loads(row["names"])),
                not_before=_moment(row["not_before"]),
                not_after=_moment(row["not_after"]),
                pem=row["chain"].encode() + seal.open(row["sealed_key"], f"certificate_content:{row['id']}"),
            )
            for row in database.execute(f"SELECT * FROM ({CURRENT}) ORDER BY certificate_id")
        ]
        return ServedCertificates(tuple(served), datetime.now(UTC))

    def _account(self, database: sqlite3.Connection) -> str:
        """The thumbprint of the account's key, with which HAProxy answers authorities."""
        seal = Seal.at(self.settings.secret_key)
        row = database.execute("SELECT id, sealed_key FROM acmekey WHERE master_key = ?", (seal.key_id,)).fetchone()
        return thumbprint(seal.open(row["sealed_key"], f"acme_key:{row['id']}"))

    def _rendered(
        self,
        rows: dict[str, list[dict[str, object]]],
        secret: str,
        memory: int,
        certificates: ServedCertificates,
        account: str,
        lists: dict[str, str],
        files: dict[str, bytes],
        findings: Findings,
    ) -> None:
        facts = EngineFacts(
            http_binds=self.settings.http_binds,
            probe_socket=str(self.settings.probe_socket),
            agent_socket=str(self.settings.agent_socket),
            system_ca=self.settings.system_ca,
            secret=secret,
            https_binds=self.settings.https_binds,
            server_states=str(self.settings.server_states),
            lua_folder=str(self.settings.run_dir),
            memory_mib=memory,
            open_files=open_files(),
            certificates=certificates,
            acme_thumbprint=account,
            default_certificate=self.settings.default_certificate.read_bytes(),
            bans_map=str(self.settings.bans_map),
            feeds_dir=str(self.settings.feeds_dir),
            list_maps={digest: _map(text) for digest, text in lists.items()},
        )
        for ability, has_it in abilities(self.settings.haproxy_bin).items():
            facts = replace(facts, **{ability: has_it})  # type: ignore[arg-type]
        wanted = render(DesiredState.from_rows(rows, facts))
        if {**wanted.files, **wanted.secrets, **wanted.data} != files:
            findings.wrong.append("the rows would render other files than the release has")

    # The live processes

    def master(self, command: str) -> str:
        """HAProxy's master CLI; it refuses for a moment after each reload."""
        ends = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return exchange(self.settings.master_socket, command.encode() + b"\n", half_close=True).decode()
            except OSError:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.02)

    def haproxy_processes(self) -> tuple[int, list[int]]:
        """The master's pid, and its workers', the newest first."""
        master, workers, section = 0, [], ""
        for line in self.master("show proc").splitlines():
            fields = line.split()
            if line.startswith("#"):
                section = line
            elif len(fields) > 1 and fields[1] == "master":
                master = int(fields[0])
            elif len(fields) > 1 and section == "# workers":
                workers.append(int(fields[0]))
        return master, workers

    def old_workers(self) -> tuple[int, ...]:
        """Who may still answer on connections that are kept, or were accepted before a reload."""
        return parse_processes(self.master("show proc")).old_workers

    def agent_status(self) -> dict[str, Any]:
        answer = exchange(
            self.settings.agent_control_socket, b"GET /v1/status HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n"
        )
        return dict(json.loads(body_of(answer)))

    def _haproxy(self, checksum: str, files: dict[str, bytes], secret: str, findings: Findings) -> None:
        info = self.master("@1 show info")
        if f"guardpanel {checksum}" not in info:
            description = next((line for line in info.splitlines() if "guardpanel" in line), info[:200])
            findings.wrong.append(f"HAProxy's newest worker runs “{description}”, not {checksum[:12]}")
        if f"gp_end_{checksum[:12]}" not in self.master("@1 show backend").split():
            findings.wrong.append("HAProxy has not read the configuration to its end")
        running_servers = rows_in(self.master("@1 show servers state"))
        findings.wrong += differences(parsed(files.get(SERVERS, b"")), running_servers)
        for line in self.master("@1 show map").splitlines():
            path = line.split("(")[1].split(")")[0] if "(" in line else ""
            if path.endswith(".map"):
                running = [
                    entry.split(" ", 1)[1]
                    for entry in self.master(f"@1 show map #{line.split()[0]}").splitlines()
                    if entry
                ]
                name = next((name for name in files if f"/{path}".endswith(f"/{name}")), "")
                content = files[name] if name else Path(path).read_bytes()
                wanted = [entry for entry in content.decode().splitlines() if entry and not entry.startswith("#")]
                if sorted(running) != sorted(wanted):
                    findings.wrong.append(f"HAProxy's {path} is not the one on disk")

    def _agent(self, _checksum: str, files: dict[str, bytes], _secret: str, findings: Findings) -> None:
        running = {str(application["name"]) for application in self.agent_status()["applications"]}
        wanted = _applications(files["coraza.yaml"])
        kept = _applications((self.settings.run_dir / "coraza.yaml").read_bytes())
        if missing := wanted.keys() - running:
            findings.wrong.append(f"the agent does not run {sorted(missing)}")
        if any(kept.get(name) != text for name, text in wanted.items()):
            findings.wrong.append("the agent's file has other directives than the release")

    def _at_rest(self, files: dict[str, bytes], findings: Findings) -> None:
        """Seconds after a save: no application too many, no leftovers on disk."""
        wanted = _applications(files["coraza.yaml"]).keys()
        running = {str(application["name"]) for application in self.agent_status()["applications"]}
        kept = _applications((self.settings.run_dir / "coraza.yaml").read_bytes()).keys()
        if not wanted == running == kept:
            findings.wrong.append(
                f"live: {sorted(wanted)}; the agent runs {sorted(running)}, its file has {sorted(kept)}"
            )
        used = {path.readlink().name for path in self.folder.glob("releases/*/*") if path.is_symlink()}
        if keys := {path.name for path in self.folder.glob("releases/shared/*")} - used:
            findings.wrong.append(f"keys of no release: {', '.join(sorted(keys))}")
        places = (self.folder, self.folder / "releases", self.settings.run_dir)
        if left := [path.name for place in places for path in place.iterdir() if path.name.startswith(".")]:
            findings.wrong.append(f"left behind: {', '.join(sorted(left))}")

    def _traffic(self, checksum: str, _files: dict[str, bytes], secret: str, findings: Findings) -> None:
        """What a visitor gets: every virtual host answers and judges as its policy says, a deleted one is unknown."""
        for _ in range(PROBES):
            head = self._get("probe", "/", f"x-gp-probe: {secret}\r\n")[1]
            if f"x-gp-checksum: {checksum}" not in head:
                findings.wrong.append("a new connection to the listener met another configuration")
        certificates: dict[str, str | None] = {}
        for host in findings.world.hosts.values():
            mode = findings.world.policies[host.policy].mode if host.policy else None
            for name in host.names:
                certificates[name] = mode
                wanted = (200, 403 if mode == "block" else 200)
                if (statuses := (self._get(name, "/")[0], self._get(name, ATTACK)[0])) != wanted:
                    findings.wrong.append(f"{name} answers {statuses} to a clean request and an attack, not {wanted}")
        self._handshakes(findings)
        self._clients(findings.world.kept_out, findings)
        for name in self.origin_answers.keys() - certificates.keys():
            if (status := self._get(name, "/")[0]) != 421:
                findings.wrong.append(f"{name} is not among the virtual hosts, and answers {status}")
        self.origin_answers = certificates

    def _clients(self, kept_out: set[str], findings: Findings) -> None:
        """Who is banned or on the deny list gets 403, and who no longer is, an answer."""
        for client in {*kept_out, *self.kept_out}:
            wanted = 403 if client in kept_out else 200
            if (status := self._get(STEADY, "/", client=client)[0]) != wanted:
                findings.wrong.append(f"{client} gets {status}, not {wanted}")
        self.kept_out = kept_out

    def _handshakes(self, findings: Findings) -> None:
        """New connections get the certificate of the database, which is called like its host, and without one the default."""
        default = x509.load_pem_x509_certificate(self.settings.default_certificate.read_bytes()).serial_number
        served = {name: int(certificate.serial, 16) for name, certificate in findings.world.certificates.items()}
        for name, wanted in {STEADY: default, **served}.items():
            for _ in range(PROBES):
                der = leaf(self.settings.https_binds[0], name)
                if (serial := x509.load_der_x509_certificate(der).serial_number) != wanted:
                    findings.wrong.append(f"a handshake for {name} gets the certificate {serial:X}, not {wanted:X}")

    def _get(self, host: str, target: str, more: str = "", client: str = "127.0.0.1") -> tuple[int, str]:
        request = (
            f"GET {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n{more}"
            "Connection: close\r\n\r\n"
        )
        answer = exchange(self.settings.http_binds[0], request.encode(), client=client)
        head = answer.split(b"\r\n\r\n")[0].decode("latin-1").lower()
        return int(head.split(" ")[1]), head


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[sqlite3.Connection]:
    """The database, read-only, so that looking repairs nothing."""
    with contextlib.closing(sqlite3.connect(f"file:{folder}/guardpanel.db?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


@contextlib.contextmanager
def opened_copy(folder: Path) -> Iterator[sqlite3.Connection]:
    """The same of a panel that is stopped at a watched call. Its other threads may be stopped between SQLite's locks, which keep
    readers out, so this reads a copy. They write nothing meanwhile: that is watched, too."""
    with tempfile.TemporaryDirectory(prefix="gpc") as copy:
        for name in ("guardpanel.db", "guardpanel.db-wal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copy(folder / name, copy)
        with opened(Path(copy)) as connection:
            yield connection


def world_in(folder: Path) -> World:
    with opened(folder) as database:
        return world_of(database)


def world_of(database: sqlite3.Connection) -> World:
    policies = {
        row["name"]: Rules(row["id"], row["enforcement_mode"], row["inbound_anomaly_threshold"])
        for row in database.execute("SELECT * FROM policy ORDER BY id")
    }
    names = {rules.id: name for name, rules in policies.items()}
    hosts = {}
    for row in database.execute("SELECT * FROM virtualhost ORDER BY id").fetchall():
        of_it = "WHERE virtual_host_id = ? ORDER BY position"
        hosts[row["name"]] = Host(
            row["id"],
            tuple(named["name"] for named in database.execute(f"SELECT name FROM hostname {of_it}", (row["id"],))),
            names.get(row["policy_id"]),
            tuple(server["weight"] for server in database.execute(f"SELECT weight FROM server {of_it}", (row["id"],))),
            bool(row["enabled"]),
            row["notes"],
            next(
                server["address"].rpartition(":")[0]
                for server in database.execute(f"SELECT address FROM server {of_it}", (row["id"],))
            ),
            [_state(server) for server in database.execute(f"SELECT * FROM server {of_it}", (row["id"],))][-1],
        )
    certificates = {
        row["name"]: Certificate(row["certificate_id"], row["serial"])
        for row in database.execute(f"SELECT * FROM ({CURRENT})")
    }
    bans: dict[str, Bans] = {}
    for network, active, total in database.execute(f"SELECT network, sum({HOLDS}), count(*) FROM ban GROUP BY network"):
        bans[network] = Bans(active, total - active)
    contents = {"": "", **_contents(database)}
    lists = {
        name: Denied(number, tuple(line.split("\t")[0] for line in contents[_digest(content)].splitlines()))
        for name, number, content in database.execute(APPLYING)
    }
    return World(hosts, policies, certificates, bans, lists)


def _state(server: sqlite3.Row) -> State:
    return State.DISABLED if not server["enabled"] else State.DRAINING if server["draining"] else State.READY


def _contents(database: sqlite3.Connection) -> dict[str, str]:
    """The stored entries of address lists by their hash, which must be theirs."""
    texts = {
        row["digest"]: zlib.decompress(row["packed"]).decode()
        for row in database.execute("SELECT digest, packed FROM addresslistcontent")
    }
    assert all(hashlib.sha256(text.encode()).hexdigest() == digest for digest, text in texts.items())
    return texts


def _digest(content: str) -> str:
    """Of `2 entries (<hash>)`."""
    total, _, digest = content.partition(" ")
    return "" if total == "0" else digest.partition("(")[2].rstrip(")")


def _map(text: str) -> bytes:
    """HAProxy's file of these entries."""
    lines = (line.split("\t") for line in text.splitlines())
    return "".join(f"{network} {int(end) or FOREVER}\n" for network, end, _ in lines).encode()


def _rows(database: sqlite3.Connection) -> dict[str, list[dict[str, object]]]:
    """Every row of the configuration as it is stored; text that is JSON in a snapshot is parsed."""
    worlds = {}
    for table in TABLES:
        rows = [dict(row) for row in database.execute(f"SELECT * FROM {table} ORDER BY id")]
        for row in rows:
            row.update({name: json.loads(value) for name, value in row.items() if str(value).startswith(("[", "{"))})
        worlds[table] = rows
    return worlds


def _live(database: sqlite3.Connection) -> tuple[int, str, bytes] | None:
    """Revision, checksum and rows of the newest deployment that went live."""
    row = database.execute(
        "SELECT d.snapshot AS own, r.* FROM deployment d JOIN revision r ON r.id = d.revision_id "
        "WHERE d.outcome = 'live' ORDER BY d.id DESC LIMIT 1"
    ).fetchone()
    return (row["id"], row["checksum"], row["own"] or row["snapshot"]) if row else None


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _applications(content: bytes) -> dict[str, str]:
    return {
        application["name"]: application["directives"] for application in readable_yaml.read(content)["applications"]
    }


def exchange(
    place: Path | tuple[str, int], request: bytes, *, half_close: bool = False, client: str = "127.0.0.1"
) -> bytes:
    """Send, as a client of this address, and read to the end."""
    with contextlib.closing(_connected(place, client)) as connection:
        connection.sendall(request)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer


def _connected(place: Path | tuple[str, int], client: str) -> socket.socket:
    if not isinstance(place, Path):
        return socket.create_connection(place, PATIENCE_SECONDS, (client, 0))
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(PATIENCE_SECONDS)
    try:
        connection.connect(str(place))
    except OSError:
        connection.close()
        raise
    return connection


def body_of(answer: bytes) -> bytes:
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"chunked" not in head.lower():
        return body
    joined = b""
    while (size := int(body.split(b"\r\n", 1)[0], 16)) > 0:
        body = body.split(b"\r\n", 1)[1]
        joined, body = joined + body[:size], body[size + 2 :]
    return joined
