"""Downloads of address lists, from a real HTTPS server of this machine and from files."""

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path

import pytest

from guardpanel.access import downloading, fetching
from guardpanel.access.downloading import NO_MARKS, Download, Marks, download
from guardpanel.access.fetching import DownloadFailed
from guardpanel.feed_reach import FeedReach
from tests.certificates.made import Made, intermediate, leaf, root
from tests.ports import free_port

pytestmark = pytest.mark.anyio

LIST = b"203.0.113.0/24\n"
HERE = (ip_network("127.0.0.1/32"),)


@dataclass
class Origin:
    """A server of lists. What a path answers is its method's."""

    port: int
    answers: dict[str, bytes] = field(default_factory=dict)
    "By path: a raw response."
    requests: list[str] = field(default_factory=list)
    "Heads of requests."
    hold: threading.Event = field(default_factory=threading.Event)
    "Until it is set, /slow gives no answer."

    def url(self, path: str, host: str = "localhost") -> str:
        return f"https://{host}:{self.port}{path}"


def response(status: str, body: bytes = b"", *lines: str) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"content-length: {len(body)}", *lines])
    return f"{head}\r\n\r\n".encode() + body


def serve(certificate: Made, folder: Path) -> Iterator[Origin]:
    (folder / "server.pem").write_text(certificate.pem + intermediate().pem + certificate.key_pem)
    origin = Origin(free_port())

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            origin.requests.append(str(self.headers))
            if self.path == "/slow":
                origin.hold.wait(60)
            self.wfile.write(origin.answers.get(self.path, response("404 Not Found")))

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    server = ThreadingHTTPServer(("127.0.0.1", origin.port), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that goes away
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield origin
    origin.hold.set()
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def module_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lists")


@pytest.fixture(scope="module")
def origin(module_folder: Path) -> Iterator[Origin]:
    yield from serve(leaf("localhost"), module_folder)


@pytest.fixture
def reach(module_folder: Path) -> FeedReach:
    (module_folder / "ca.pem").write_text(root().pem)
    return FeedReach(HERE, module_folder, str(module_folder / "ca.pem"))


async def failure(url: str, reach: FeedReach, marks: Marks = NO_MARKS) -> str:
    with pytest.raises(DownloadFailed) as failed:
        await download(url, marks, reach)
    return failed.value.message


async def test_a_list_is_downloaded_and_the_server_asked_whether_it_changed(origin: Origin, reach: FeedReach) -> None:
    origin.answers["/drop.txt"] = response(
        "200 OK", LIST, 'etag: "one"', "last-modified: Sat, 28 Nov 2026 10:00:00 GMT"
    )
    downloaded = await download(origin.url("/drop.txt"), NO_MARKS, reach)
    assert downloaded == Download(LIST, Marks('"one"', "Sat, 28 Nov 2026 10:00:00 GMT"))
    assert "if-none-match" not in origin.requests[-1].lower()

    origin.answers["/drop.txt"] = b"HTTP/1.1 304 Not Modified\r\n\r\n"
    assert await download(origin.url("/drop.txt"), downloaded.marks, reach) is None
    assert 'if-none-match: "one"' in origin.requests[-1]
    assert "if-modified-since: Sat, 28 Nov 2026 10:00:00 GMT" in origin.requests[-1]


async def test_redirects_lead_to_https_alone(origin: Origin, reach: FeedReach) -> None:
    origin.answers["/drop.txt"] = response("200 OK", LIST)
    origin.answers["/moved"] = response("302 Found", b"", "location: /drop.txt#top")
    origin.answers["/round"] = response("301 Moved", b"", "location: /round")
    downloaded = await download(origin.url("/moved"), NO_MARKS, reach)
    assert downloaded is not None
    assert downloaded.body == LIST
    assert "more than 5 times" in await failure(origin.url("/round"), reach)
    for location in ("http://localhost/", "file:///etc/passwd", "//user:x@localhost/", "", "gopher://x", "https://[x"):
        origin.answers["/away"] = response("302 Found", b"", f"location: {location}")
        assert await failure(origin.url("/away"), reach) == "It redirects to something else than an https URL.", (
            location
        )
    origin.answers["/away"] = response("302 Found", b"", f"location: {origin.url('/drop.txt', '127.0.0.2')}")
    assert "127.0.0.2, which is not a public address" in await failure(origin.url("/away"), reach)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (response("404 Not Found"), "The server answers 404."),
        (response("500 No", b"<script>"), "The server answers 500."),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", "The server answers 304."),
        (response("200 OK", LIST, "content-encoding: gzip"), "It is compressed"),
        (b"SSH-2.0-x\r\n\r\n", "does not speak HTTP/1.1"),
        (b"", "does not speak HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort", "does not speak HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"a" * 40_000, "does not speak HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n", "It is larger than 20 MiB."),
    ],
)
async def test_an_answer_without_a_list_fails(origin: Origin, reach: FeedReach, answer: bytes, words: str) -> None:
    origin.answers["/odd"] = answer
    assert words in await failure(origin.url("/odd"), reach)


async def test_a_body_without_an_announced_length_is_bounded(origin: Origin, reach: FeedReach) -> None:
    origin.answers["/endless"] = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + b"a" * 3_000_000
    with pytest.raises(DownloadFailed, match="It is larger than"):
        await download(origin.url("/endless"), NO_MARKS, reach, largest=1_000_000)


async def test_a_body_in_pieces_of_a_byte_leaves_others_their_turn(origin: Origin, reach: FeedReach) -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    origin.answers["/pieces"] = head + b"1\r\n#\r\n" * 3_000 + b"0\r\n\r\n"
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    downloaded = await download(origin.url("/pieces"), NO_MARKS, reach)
    beside.cancel()
    assert downloaded == Download(b"#" * 3_000)
    assert turns >= 3_000


async def test_a_server_that_never_answers_is_left(
    origin: Origin, reach: FeedReach, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "LONGEST_SECONDS", 0.3)
    assert "It took longer than" in await failure(origin.url("/slow"), reach)


async def test_certificates_count(origin: Origin, reach: FeedReach, tmp_path: Path) -> None:
    assert "not trusted" in await failure(origin.url("/drop.txt"), FeedReach(HERE))
    for other in serve(leaf("other.example"), tmp_path):
        assert "not trusted" in await failure(other.url("/drop.txt"), reach)
    (tmp_path / "none.pem").write_text("none")
    broken = FeedReach(HERE, None, str(tmp_path / "none.pem"))
    assert "GUARDPANEL_FEED_CA_FILE" in await failure(origin.url("/drop.txt"), broken)


async def test_private_addresses_are_never_asked(origin: Origin) -> None:
    before = len(origin.requests)
    for host in ("localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"):
        assert "not a public address" in await failure(origin.url("/drop.txt", host), FeedReach()), host
    assert len(origin.requests) == before


async def test_hosts_that_are_not_there_fail(reach: FeedReach) -> None:
    assert "can’t be reached" in await failure(f"https://127.0.0.1:{free_port()}/", reach)
    assert await failure("https://lists.invalid/", reach) == "lists.invalid can’t be resolved."


async def test_the_first_address_that_takes_the_connection_is_used(
    origin: Origin, reach: FeedReach, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin.answers["/drop.txt"] = response("200 OK", LIST)
    places = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in ("10.0.0.1", "127.0.0.1")]

    async def both(*_: object, **__: object) -> object:
        return places

    loop = type("Loop", (), {"getaddrinfo": staticmethod(both)})
    addresses = fetching._addresses
    with monkeypatch.context() as patched:
        patched.setattr("asyncio.get_running_loop", lambda: loop)
        assert await addresses("localhost", origin.port, reach) == ["127.0.0.1"]


async def test_files_are_read_below_their_directory_alone(reach: FeedReach, tmp_path: Path) -> None:
    assert reach.files is not None
    inside, outside = reach.files / "drop list.txt", tmp_path / "secret.txt"
    inside.write_bytes(LIST)
    outside.write_bytes(LIST)
    (reach.files / "link.txt").unlink(missing_ok=True)
    (reach.files / "link.txt").symlink_to(outside)
    url = f"file://{reach.files}/drop%20list.txt"

    downloaded = await download(url, NO_MARKS, reach)
    assert downloaded is not None
    assert downloaded.body == LIST
    assert await download(url, downloaded.marks, reach) is None
    inside.write_bytes(LIST * 2)
    assert await download(url, downloaded.marks, reach) is not None

    for path in (outside, reach.files / "link.txt", reach.files / ".." / outside.name):
        message = await failure(f"file://{path}", reach)
        assert "Only files below" in message or "can’t be read" in message, path
    (reach.files / "circle.txt").unlink(missing_ok=True)
    (reach.files / "circle.txt").symlink_to(reach.files / "circle.txt")
    assert "can’t be read" in await failure(f"file://{reach.files}/circle.txt", reach)
    assert "Is a directory" in await failure(f"file://{reach.files}", reach)
    (reach.files / "pipe").unlink(missing_ok=True)
    os.mkfifo(reach.files / "pipe")
    assert "not a regular file" in await failure(f"file://{reach.files}/pipe", reach)
    assert "GUARDPANEL_FEED_FILES names no directory" in await failure(url, FeedReach())


async def test_a_file_is_bounded(reach: FeedReach) -> None:
    assert reach.files is not None
    (reach.files / "large.txt").write_bytes(LIST * 100)
    with pytest.raises(DownloadFailed, match="It is larger than"):
        await download(f"file://{reach.files}/large.txt", NO_MARKS, reach, largest=100)
