"""A whole guardpanel for tests and benchmarks: the real panel, HAProxy and WAF agent on free loopback ports."""

import contextlib
import functools
import http.server
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from guardpanel.database import migrate
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[1]

FAULT = re.compile(r"background task .* failed|exception was never retrieved|was destroyed but it is pending")
"What the panel's log says of a background task that failed."

DEADLINE = 300.0
"Seconds for the panel to answer, or a command to end: a cold start compiles the whole rule set."


RUNNING: list["Panel"] = []


class Panel:
    """A running `guardpanel up` with its data directory. `setup_link` is what it printed at its first start."""

    def __init__(self, data: Path, haproxy: str = "", agent: Path | None = None, *, tls: bool = False) -> None:
        self.data = data
        self.port, self.proxy_port, self.https_port = free_port(), free_port(), free_port()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.proxy = f"http://127.0.0.1:{self.proxy_port}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GUARDPANEL_")},
            "GUARDPANEL_DATA_DIR": str(data),
            "GUARDPANEL_LISTEN": f"127.0.0.1:{self.port}",
            "GUARDPANEL_HTTP_BIND": f"127.0.0.1:{self.proxy_port}",
            "GUARDPANEL_HTTPS_BIND": f"127.0.0.1:{self.https_port}",
            "GUARDPANEL_LISTEN_TLS": "on" if tls else "off",
            "PYTHONUNBUFFERED": "1",
        }
        if haproxy:
            self.environment["GUARDPANEL_HAPROXY_BIN"] = haproxy
        if agent:
            self.environment["GUARDPANEL_AGENT_BIN"] = str(agent)
        self.process: subprocess.Popen[bytes] | None = None
        self.output = data.parent / f"{data.name}.out"
        self.sessions: dict[str, dict[str, str]] = {}
        "Cookies of those who have logged in, by email: a password is hashed slowly on purpose."
        self._read = 0

    @property
    def trusted(self) -> ssl.SSLContext | bool:
        """For a client that trusts this panel's self-signed certificate, and no other."""
        path = self.data / "panel-certificate.pem"
        return ssl.create_default_context(cafile=path) if path.exists() else True

    def command(self, *arguments: str, stdin: str = "", code: int = 0) -> str:
        """Run another guardpanel command on the same data directory."""
        done = subprocess.run(
            [sys.executable, "-m", "guardpanel", *arguments],
            input=stdin,
            text=True,
            capture_output=True,
            env=self.environment,
            cwd=ROOT,
            timeout=DEADLINE,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def start(self) -> None:
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "guardpanel", "up"],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environment,
                cwd=ROOT,
                start_new_session=True,
            )
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        import httpx2

        ends = time.monotonic() + DEADLINE
        last = ""
        with httpx2.Client(timeout=5, verify=False) as client:
            while time.monotonic() < ends:
                assert self.process is None or self.process.poll() is None, self.output.read_text()
                with contextlib.suppress(httpx2.HTTPError):
                    answer = client.get(f"{self.url}/readyz")
                    last = answer.text
                    if answer.status_code == 200:
                        return
                time.sleep(0.1)
        raise AssertionError(f"not ready after {DEADLINE} s: {last}\n{self.output.read_text()}\n{self.logs()}")

    def logs(self) -> str:
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-3000:]}"
            for path in sorted((self.data / "log").glob("*.log"))
        )

    def faults(self) -> list[str]:
        """Background tasks that failed since this was asked last, in the words of the log."""
        text = self.output.read_text(errors="replace") if self.output.exists() else ""
        new, self._read = text[self._read :], len(text)
        return [line for line in new.splitlines() if FAULT.search(line)]

    @property
    def setup_link(self) -> str:
        match = re.search(r"https?://\S+/setup/\S+", self.output.read_text())
        assert match, self.output.read_text()
        return match[0]

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(120)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                raise


@functools.cache
def migrated() -> bytes:
    """An empty database of the newest schema: to copy is quicker than to migrate."""
    with tempfile.TemporaryDirectory(prefix="gp") as folder:
        migrate(f"sqlite+aiosqlite:///{folder}/guardpanel.db")
        return Path(folder, "guardpanel.db").read_bytes()


def faults_of_panels() -> list[str]:
    """Of all panels that run."""
    return [line for panel in RUNNING for line in panel.faults()]


@contextlib.contextmanager
def running_panel(
    haproxy: str = "",
    data: Path | None = None,
    agent: Path | None = None,
    *,
    tls: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Panel]:
    """A panel in a directory with a short path (HAProxy's sockets have room for 97 bytes), gone at the end."""
    parent = Path(tempfile.mkdtemp(prefix="gp"))
    panel = Panel(data or parent / "d", haproxy, agent, tls=tls)
    panel.environment |= environment or {}
    if data is None:
        panel.data.mkdir(mode=0o700)
        (panel.data / "guardpanel.db").write_bytes(migrated())
    try:
        RUNNING.append(panel)
        panel.start()
        yield panel
    finally:
        RUNNING.remove(panel)
        panel.stop()
        shutil.rmtree(parent, ignore_errors=True)


class _Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = f"hello from {self.path}".encode()
        length = int(self.headers.get("content-length") or 0)
        self.rfile.read(length)
        self.send_response(200)
        self.send_header("content-type", "text/plain")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            with contextlib.suppress(ConnectionError):  # a health check has seen enough
                self.wfile.write(body)

    do_POST = do_HEAD = do_PUT = do_GET

    def log_message(self, *_: object) -> None:
        """Quiet: the tests look at answers."""


class _Quiet(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    "With the usual 5, a few visitors at once wait a whole second for their connection: TCP's pause before it asks again."

    def handle_error(self, *_: object) -> None:
        """Health checks hang up early; that is no error of the server's."""


@contextlib.contextmanager
def origin_server() -> Iterator[int]:
    """A small HTTP server behind HAProxy; gives its port."""
    server = _Quiet(("127.0.0.1", 0), _Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
