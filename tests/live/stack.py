"""The real HAProxy and the real WAF agent around a rendered bundle, without the panel."""

import asyncio
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from guardpanel import readable_yaml, shipped
from guardpanel.bundle import Bundle
from guardpanel.certificates.served import NO_CERTIFICATES, ServedCertificates
from guardpanel.engines import DROPS_TRAILERS, HAProxy
from guardpanel.engines.haproxy.status import UNINSPECTED, uninspected
from guardpanel.engines.tls import default_certificate
from guardpanel.rendering import DesiredState, EngineFacts, Rows, render
from guardpanel.settings import Settings
from tests.live.wire import PROXY_LINE, Part, Response, head
from tests.ports import free_port
from tests.rows import SECRET, digests_of

ROOT = Path(__file__).resolve().parents[2]

AGAIN = os.environ.get("GUARDPANEL_TEST_AGAIN", "reload")
"What HAProxy is put through before tests ask it, by `again`: `reload`, or `restart` as a form of `make nightly` has it."

DEADLINE = 120.0
"Seconds for anything that must happen: however busy the machine is, it has happened by then."


def agent_binary() -> Path:
    binary = Path(os.environ.get("GUARDPANEL_AGENT_BIN") or ROOT / ".tools" / "bin" / "guardpanel-spoa")
    assert binary.is_file(), f"{binary} is missing: make install"
    return binary


def wait_until(true: Callable[[], object], what: str, seconds: float = DEADLINE) -> None:
    """Ask until it is so: at once, and then ever less often, since to ask takes the processor from what is waited for."""
    ends, pause = time.monotonic() + seconds, 0.002
    while not true():
        assert time.monotonic() < ends, f"not within {seconds} s: {what}"
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


class Stack:
    """`with Stack(haproxy, rows) as stack: stack.get("shop.test", "/")`."""

    scheme, http = "http", "1.1"

    def __init__(
        self,
        haproxy: str,
        rows: Rows,
        system_ca: str = "",
        *,
        events: bool = False,
        listeners: int = 1,
        memory_mib: int = 2048,
        lua: bool = True,
        agent_seconds: int = 5,
        certificates: ServedCertificates = NO_CERTIFICATES,
        list_maps: Mapping[str, bytes] | None = None,
        bans: str = "",
        countries: str = "",
    ) -> None:
        """With `events`, the folder is a data directory for the ingest. All is asked of the first of the listeners.

        Without `lua`, HAProxy gets what one gets that was built without it. `agent_seconds` is HAProxy's patience with the agent:
        less where one hangs for good.
        """
        self.haproxy, self.events, self.agent_seconds = haproxy, events, agent_seconds
        self.folder = Path(tempfile.mkdtemp(prefix="gps"))
        self.addresses = tuple(("127.0.0.1", free_port()) for _ in range(listeners))
        self.address = self.addresses[0]
        self.tls_address = "127.0.0.1", free_port()
        self.facts = EngineFacts(
            http_binds=self.addresses,
            https_binds=(self.tls_address,),
            default_certificate=default_certificate.made(datetime.now(UTC)),
            probe_socket=str(self.folder / "probe.sock"),
            agent_socket=str(self.folder / "agent.sock"),
            system_ca=system_ca or Settings().system_ca,
            secret=SECRET,
            memory_mib=memory_mib,
            drops_trailers=asyncio.run(HAProxy(haproxy).knows(DROPS_TRAILERS)),
            no_http3=asyncio.run(HAProxy(haproxy).no_http3()),
            runs_lua=lua and asyncio.run(HAProxy(haproxy).runs_lua()),
            lua_folder=str(self.folder),
            holds_responses=asyncio.run(HAProxy(haproxy).holds_responses()),
            more_counters=asyncio.run(HAProxy(haproxy).has_more_counters()),
            moves_servers=asyncio.run(HAProxy(haproxy).moves_servers()),
            tables_socket=str(self.folder / "tables.sock"),
            certificates=certificates,
            list_maps=list_maps or {},
            bans_map=str(self.folder / "bans.map"),
            geo_dir=str(self.folder),
        )
        (self.folder / shipped.lua_file()).write_text(shipped.lua())
        (self.folder / "bans.map").write_text(bans)
        (self.folder / "country.map").write_text(countries)
        if events:
            (self.folder / "log").mkdir()
            (self.folder / "log" / "access.json").symlink_to(self.folder / "access.json")
        self.number = 0
        self.applications: dict[str, dict[str, Any]] = {}
        self.processes: list[subprocess.Popen[bytes]] = []
        self.bundle = self.publish(rows)

    def __enter__(self) -> Self:
        try:
            self.start_agent()
            self.start_haproxy()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self.processes:
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)

    # What runs

    def publish(self, rows: Rows) -> Bundle:
        """Write a release beside the others, point to it, and give the agent old and new applications."""
        traffic = [{**row, "http3": True} for row in rows["traffic"]]  # nothing where HAProxy cannot, and without HTTPS
        given = {**rows, "traffic": traffic}
        bundle = render(DesiredState.from_rows(given, replace(self.facts, login_digests=digests_of(rows))))
        self.number += 1
        release = self.folder / "releases" / str(self.number)
        for path, content in {**bundle.files, **bundle.secrets, **bundle.data}.items():
            (release / path).parent.mkdir(parents=True, exist_ok=True)
            (release / path).write_bytes(self.impatient(path, content))
        (self.folder / "next").symlink_to(release)
        (self.folder / "next").rename(self.folder / "current")
        agent = readable_yaml.read(bundle.files["coraza.yaml"])
        self.applications |= {application["name"]: application for application in agent["applications"]}
        (self.folder / "coraza.yaml").write_text(
            readable_yaml.written({**agent, "applications": list(self.applications.values())})
        )
        self.bundle = bundle
        return bundle

    def impatient(self, path: str, content: bytes) -> bytes:
        """Of a response, 2.6 gives the agent what is left of the server's time (_frontend.cfg.j2)."""
        seconds = {"coraza.cfg": b"timeout processing 5s", "haproxy.cfg": b"wait-for-body time 25s"}.get(path)
        if seconds is None or self.agent_seconds == 5:
            return content
        assert seconds in content or path == "haproxy.cfg", "the product's patience is another one"
        return content.replace(seconds, b"%b %ds" % (seconds.rpartition(b" ")[0], self.agent_seconds))

    def start(self, command: list[str], log: str, stdout: str = "") -> subprocess.Popen[bytes]:
        with (self.folder / log).open("ab") as errors, (self.folder / (stdout or log)).open("ab") as output:
            process = subprocess.Popen(
                command,
                stdout=output,
                stderr=errors,
                cwd=self.folder,
                env={"PATH": os.environ["PATH"]},
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def start_haproxy(self) -> None:
        command = [
            self.haproxy,
            "-W",
            "-S",
            f"{self.folder}/master.sock,mode,600",
            "-f",
            f"{self.folder}/current/haproxy.cfg",
        ]
        self.master = self.start(command, "haproxy.log", stdout="access.json")
        self.wait_until_live()

    def restart(self) -> None:
        """HAProxy, with nothing left of what it had in memory."""
        self.master.terminate()
        self.master.wait(DEADLINE)
        self.start_haproxy()

    def again(self, rows: Rows) -> None:
        """The same after a reload, or a restart."""
        self.reload(rows)
        if AGAIN == "restart":
            self.restart()

    def start_agent(self) -> None:
        self.agent = self.start(
            [
                str(agent_binary()),
                "-config",
                f"{self.folder}/coraza.yaml",
                "-control",
                f"unix:{self.folder}/control.sock",
                *(["-events", f"{self.folder}/events"] if self.events else []),
            ],
            "agent.log",
        )
        wait_until(
            lambda: self.agent.poll() is not None or self.accepts(self.facts.agent_socket),
            "the agent listens",
        )
        assert self.agent.poll() is None, self.log("agent.log")

    def stop_agent(self) -> None:
        self.agent.terminate()
        self.agent.wait(DEADLINE)

    def wait_until_live(self) -> None:
        """The probe answers the checksum, and HAProxy knows that the agent is up."""

        def live() -> bool:
            assert self.master.poll() is None, self.log("haproxy.log")
            with contextlib.suppress(OSError, http.client.HTTPException):
                probe, visitor = self.probe(), self.get("x.test", "/", {"x-gp-probe": SECRET})
                return probe.verdict["checksum"] == self.bundle.checksum == visitor.verdict.get("checksum")
            return False

        wait_until(live, f"HAProxy runs the bundle\n{self.log('haproxy.log')}")
        self.wait_for_server("waf_agent", "agent", "UP")

    def reload(self, rows: Rows) -> None:
        self.publish(rows)
        connection = http.client.HTTPConnection("agent")
        connection.sock = self.connect(f"{self.folder}/control.sock")
        connection.request("POST", "/v1/reload")
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        connection.close()
        self.command("reload")
        self.wait_until_live()

    def command(self, text: str) -> str:
        """Ask the master; `@1 …` asks the worker."""
        answer = b""
        with self.connect(f"{self.folder}/master.sock") as master:
            master.sendall(text.encode() + b"\n")
            master.shutdown(socket.SHUT_WR)
            while chunk := master.recv(65536):
                answer += chunk
        return answer.decode()

    def servers(self, backend: str) -> dict[str, str]:
        """State by server: UP, DOWN, `no check` …"""
        counts = {}
        for line in self.command("@1 show stat").splitlines():
            fields = line.split(",")
            if fields[0] == backend and fields[1] not in {"BACKEND", "FRONTEND"}:
                counts[fields[1]] = fields[17]
        return counts

    def wait_for_server(self, backend: str, server: str, state: str) -> None:
        def so() -> bool:
            with contextlib.suppress(OSError):  # 2.6's master refuses for a moment while it reloads
                return self.servers(backend).get(server, "").startswith(state)
            return False

        wait_until(so, f"{backend}/{server} is {state}")

    def wait_until_read(self, client: socket.socket) -> None:
        """HAProxy has the head of its request, and waits for the rest."""
        host, port = client.getsockname()
        wait_until(lambda: f" src={host}:{port} " in self.command("@1 show sess"), "HAProxy has the request")

    def uninspected(self, policy_id: int) -> int:
        """How many requests passed unjudged, by the counters that the panel shows."""
        return uninspected(self.command(f"@1 show table {table}") for table in UNINSPECTED).get(policy_id, 0)

    def accepts(self, path: str) -> bool:
        try:
            self.connect(path).close()
        except OSError:
            return False
        return True

    def log(self, name: str) -> str:
        return (self.folder / name).read_text(errors="replace")[-4000:]

    # Requests

    def connect(self, path: str = "") -> socket.socket:
        if not path:
            return socket.create_connection(self.address, DEADLINE)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(DEADLINE)
        try:
            connection.connect(path)
        except OSError:
            connection.close()
            raise
        return connection

    def send(self, *parts: Part, path: str = "") -> Response:
        """Send bytes as they are; a number waits that many seconds. The first answer."""
        with self.connect(path) as connection:
            for part in parts:
                if isinstance(part, bytes):
                    with contextlib.suppress(ConnectionError):  # an answer before the end of the request
                        connection.sendall(part)
                else:
                    time.sleep(part)
            return self.answer(connection, parts[0])

    def answer(self, connection: socket.socket, request: Part) -> Response:
        method = request.split(b" ", 1)[0].decode("latin-1") if isinstance(request, bytes) else ""
        with contextlib.closing(http.client.HTTPResponse(connection, method=method)) as raw:
            raw.begin()
            body = raw.read()
            headers = {name.lower(): value for name, value in raw.getheaders()}
            return Response(raw.status, headers, body)

    def request(
        self,
        method: str,
        host: str,
        target: str,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
    ) -> Response:
        """One whole request with what CRS expects of a browser; the answer carries the verdict."""
        sent = {"user-agent": "Mozilla/5.0", "accept": "*/*", "x-gp-test": SECRET}
        if body or method in {"POST", "PUT", "PATCH"}:
            sent["content-length"] = str(len(body))
        return self.send(head(method, host, target, {**sent, **(headers or {})}), body)

    def get(self, host: str, target: str, headers: dict[str, str] | None = None) -> Response:
        return self.request("GET", host, target, headers)

    def post(self, host: str, body: bytes, content_type: str, headers: dict[str, str] | None = None) -> Response:
        return self.request("POST", host, "/", {"content-type": content_type, **(headers or {})}, body)

    def chunked(self, host: str, chunks: Iterable[bytes], content_type: str, target: str = "/") -> Response:
        sent = {
            "user-agent": "Mozilla/5.0",
            "accept": "*/*",
            "x-gp-test": SECRET,
            "content-type": content_type,
            "transfer-encoding": "chunked",
        }
        framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
        return self.send(head("POST", host, target, sent), framed + b"0\r\n\r\n")

    def probe(self, application: str = "", target: str = "/", headers: dict[str, str] | None = None) -> Response:
        own = {"x-gp-application": application} if application else {}
        request = head("GET", "probe", target, {**own, **(headers or {})})
        return self.send(PROXY_LINE + request, path=self.facts.probe_socket)

    def logged(self, answer: Response) -> dict[str, Any]:
        """The access log's line for an answer."""
        lines: list[dict[str, Any]] = []

        def written() -> bool:
            lines[:] = [line for line in self.access_log() if line["id"] == answer.verdict["request-id"]]
            return bool(lines)

        wait_until(written, "the line is in the access log")
        return lines[0]

    def access_log(self) -> list[dict[str, Any]]:
        """Every whole line, which must be JSON: but for what 2.8 says there of a frontend that stops."""
        *lines, _ = (self.folder / "access.json").read_bytes().decode("utf-8").split("\n")
        return [json.loads(line) for line in lines if not line.startswith("Proxy visitors stopped ")]
