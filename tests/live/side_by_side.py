"""A haproxy.cfg as it is, run beside what guardpanel imports from it: the same servers behind both."""

import contextlib
import http.client
import json
import re
import ssl
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from tests.certificates.made import leaf
from tests.live.stack import wait_until

PROCESS = re.compile(
    r"\s*(user|group|chroot|daemon|pidfile|log\b|log-|stats\s+socket|nbproc|maxconn|server-state|localpeer|ulimit|unix-bind)"
)
"How and as whom HAProxy runs: nothing of it is an answer."

SECTION = re.compile(r"(frontend|listen|backend|defaults|global|userlist|peers|resolvers)\b\s*(\S*)")
RULES = {"acl", "use_backend", "redirect", "http-request"}
SERVER = re.compile(r"(\s*server\s+\S+\s+)(\S+)(.*)")
BIND = re.compile(r"(\s*bind\s+)(\S+)(.*)")
Address = tuple[str, int]


@dataclass
class Frontend:
    name: str
    address: Address
    is_tls: bool
    text: str = ""


@dataclass
class Moved:
    """The configuration with servers and listeners of this machine."""

    imported: str = ""
    "With its own listeners, for guardpanel."
    run: str = ""
    frontends: dict[str, Frontend] = field(default_factory=dict)
    pools: dict[str, set[str]] = field(default_factory=dict)
    "The sections that have a server, by its address here."


def servers(text: str) -> list[str]:
    """Their addresses, each once, without those of sections in TCP mode."""
    return list(dict.fromkeys(match[2] for line in text.splitlines() if (match := SERVER.match(line))))


def moved(text: str, here: Mapping[str, str], ports: Iterator[int], certificate: Path) -> Moved:
    """`here`: the addresses of servers, by those of the configuration."""
    done, kind, name = Moved(), "", ""
    for line in text.splitlines():
        if section := SECTION.match(line.strip()):
            kind, name = section[1], section[2]
        own = given = line
        if server := SERVER.match(line):
            own = given = f"{server[1]}{here[server[2]]}{server[3]}"
            done.pools.setdefault(here[server[2]], set()).add(name)
        elif bind := BIND.match(line):
            port, options = next(ports), re.sub(r" crt \S+", "", bind[3])
            is_tls = " ssl" in options
            done.frontends.setdefault(name, Frontend(name, ("127.0.0.1", port), is_tls))
            own = f"{bind[1]}127.0.0.1:{port}{options}{f' crt {certificate}' if is_tls else ''}"
        if name in done.frontends and kind != "backend":
            done.frontends[name].text += f"{given}\n"
        done.imported += f"{given}\n"
        done.run += "" if PROCESS.match(line) else f"{own}\n"
    return done


def pem(path: Path) -> Path:
    made = leaf("any.example")
    path.write_text(made.pem + made.key_pem)
    return path


@contextlib.contextmanager
def alone(haproxy: str, text: str, folder: Path) -> Iterator[None]:
    """HAProxy with this configuration and nothing else."""
    (folder / "haproxy.cfg").write_text(text)
    command = [haproxy, "-W", "-S", f"{folder}/m.sock", "-f", str(folder / "haproxy.cfg")]
    with (folder / "haproxy.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stderr=log, stdout=log)
    try:
        wait_until(lambda: process.poll() is not None or (folder / "m.sock").exists(), "HAProxy has begun")
        yield
        assert process.poll() is None, (folder / "haproxy.log").read_text()
    finally:
        process.terminate()
        process.communicate()


@dataclass(frozen=True)
class Request:
    method: str
    host: str
    path: str
    body: str = ""
    client: str = "127.0.0.1"


CLIENTS = ("127.0.0.1", "127.0.0.66")
"Of a configuration that tells visitors apart by their address, as `tests/live/imports/office.cfg` does."

BODY = "name=value&other=two"

USUAL = ("/", "/index.html?a=1&b=%C3%A9", "/api/v1/items/7", "/static/app.css", "/a%20b/c;d=1")


def paths(text: str) -> list[str]:
    """Usual ones, those that the configuration names, and what is below them."""
    rules = [line for line in text.splitlines() if line.split()[:1] and line.split()[0] in RULES]
    named = sorted({word for line in rules for word in re.findall(r"(?<=\s)/[\w./-]*", line)})
    below = [f"{name.rstrip('/')}{rest}" for name in named for rest in ("/", "/a/b?c=d")]
    return list(dict.fromkeys([*USUAL, *named, *below]))


def requests(hosts: Sequence[str], text: str) -> Iterator[Request]:
    clients = CLIENTS if re.search(r"\bsrc\b(?!\])", text) else CLIENTS[:1]
    for host, path, client in product(hosts, paths(text), clients):
        for method, name, body in (
            ("GET", host, ""),
            ("HEAD", host, ""),
            ("GET", host.upper(), ""),
            ("POST", host, BODY),
        ):
            yield Request(method, name, path, body, client)


def answer(address: Address, request: Request, pools: Mapping[str, set[str]], *, tls: bool = False) -> dict[str, Any]:
    """What a visitor gets and what a server got. Of servers that share a load, any will do."""
    connection = _connection(address, request.client, tls=tls)
    try:
        headers = {"host": request.host, "x-mine": "1", "user-agent": "Mozilla/5.0", "accept": "*/*"}
        connection.request(request.method, request.path, request.body or None, headers)
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    result: dict[str, Any] = {"status": response.status, "location": response.headers.get("location")}
    if response.status == 200 and body:
        sent = json.loads(body)
        received = dict(sent["headers"])
        result |= {name: sent[name] for name in ("method", "target", "digest")}
        result |= {name: received.get(name) for name in ("host", "x-mine", "x-forwarded-for", "content-type")}
        result["pools"] = pools[f"127.0.0.1:{sent['port']}"]
    return result


def same(expected: dict[str, Any], given: dict[str, Any]) -> bool:
    """guardpanel sends X-Forwarded-For in any case."""
    added = {"x-forwarded-for"} if expected.get("x-forwarded-for") is None else set()
    return expected.keys() == given.keys() and all(given[name] == expected[name] for name in expected.keys() - added)


def _connection(address: Address, client: str, *, tls: bool) -> http.client.HTTPConnection:
    if not tls:
        return http.client.HTTPConnection(*address, timeout=60, source_address=(client, 0))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(*address, timeout=60, context=context, source_address=(client, 0))
