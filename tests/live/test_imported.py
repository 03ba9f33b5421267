"""An imported haproxy.cfg gives the answers that HAProxy gives with the configuration itself."""

import contextlib
import http.client
import json
import socket
import subprocess
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from guardpanel.readable_yaml import read
from guardpanel.services.importing.importing import Beside, import_configuration
from guardpanel.services.importing.quantities import seconds
from tests.live.origins import Origin, origin
from tests.live.stack import Stack, wait_until
from tests.ports import free_port
from tests.rows import maps_of, rows

pytestmark = pytest.mark.one_haproxy

SHARED = "defaults\n  mode http\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n"

BACKENDS = "backend app\n  server a {a}\nbackend api\n  server b {b}\nbackend files\n  server c {c}\n"

CONFIGURATIONS = {
    "hostnames": """\
frontend web
  bind {bind}
  acl shop hdr(host) -i shop.test www.shop.test
  acl blog hdr_end(host) -i .blog.test
  use_backend app if shop
  use_backend api if blog
  default_backend files
""",
    "paths": """\
frontend web
  bind {bind}
  acl shop hdr(host) -i shop.test
  acl api path_beg /api/
  use_backend api if api shop
  use_backend files if {{ path /exact }}
  redirect location /new code 301 if {{ path /old }}
  redirect prefix https://moved.test code 302 if {{ path_beg /moved/ }}
  use_backend files if !shop api
  default_backend app
""",
    "redirects": """\
frontend web
  bind {bind}
  log 127.0.0.1:9 local0
  option httplog
  acl shop hdr(host) -i shop.test
  http-request redirect location https://blog.example/new?a=b code 308 if {{ hdr(host) -i blog.test }}
  redirect location /new code 301 if shop {{ path /old }}
  redirect prefix http://www.shop.test code 301 if shop
  redirect prefix https://late.test if shop {{ path /exact }}
  redirect prefix https://slash.test/ if {{ hdr(host) -i www.shop.test }}
  use_backend files if {{ path_beg /static/ }}
  use_backend moved if {{ hdr_end(host) -i .blog.test }}
  default_backend app
backend moved
  http-request redirect location https://moved.test/base%[capture.req.uri] code 307
""",
    "map": """\
frontend web
  bind {bind}
  use_backend %[req.hdr(host),lower,map(hosts.map,app)]
""",
    "headers": """\
frontend web
  bind {bind}
  acl shop hdr(host) -i shop.test
  http-request set-header X-Client "%[src]"
  http-request del-header X-Debug
  http-response set-header X-Frame-Options "DENY; \\"x\\" 100%%"
  http-response del-header Server
  use_backend api if shop
  default_backend app
""",
    "access": """\
frontend web
  bind {bind}
  acl inside src 127.0.0.0/8 10.0.0.0/8
  acl shop hdr(host) -i shop.test
  acl blog hdr(host) -i blog.test a.blog.test
  http-request deny if !shop !blog
  http-request deny if blog inside
  http-request deny if shop {{ src 192.0.2.0/24 }}
  use_backend api if blog
  default_backend app
""",
}

FILES = {"hosts.map": "shop.test api\nblog.test files\n"}

HOSTS = ("shop.test", "SHOP.test", "www.shop.test", "blog.test", "a.blog.test")

PATHS = ("/", "/api/", "/api/x/y?q=1", "/exact", "/old", "/moved/a?b=c", "/static/a.css")


@pytest.fixture(scope="module")
def origins() -> Iterator[list[Origin]]:
    with contextlib.ExitStack() as running:
        yield [running.enter_context(origin()) for _ in range(3)]


@pytest.fixture(scope="module")
def stack(haproxy: str) -> Iterator[Stack]:
    with Stack(
        haproxy,
        rows({}, {}),
        list_maps=maps_of([{"entries": ["127.0.0.0/8", "10.0.0.0/8"]}, {"entries": ["192.0.2.0/24"]}]),
    ) as running:
        yield running


@contextlib.contextmanager
def running_alone(haproxy: str, file: Path, address: tuple[str, int]) -> Iterator[None]:
    process = subprocess.Popen([haproxy, "-db", "-f", str(file)], cwd=file.parent, stderr=subprocess.PIPE)

    def accepts() -> bool:
        assert process.poll() is None and process.stderr, process.stderr and process.stderr.read()
        with contextlib.suppress(OSError), socket.create_connection(address, 5):
            return True
        return False

    try:
        wait_until(accepts, "HAProxy listens")
        yield
    finally:
        process.terminate()
        process.communicate()


def rows_of(site: dict[str, Any]) -> Any:
    """What the site file has, as rows."""
    hosts, paths, headers = {}, [], []
    for number, host in enumerate(site["virtual_hosts"], 1):
        paths += [{**path, "virtual_host_id": number} for path in host.pop("path_bindings", ())]
        headers += [{**rule, "virtual_host_id": number} for rule in host.pop("header_rules", ())]
        hosts[" ".join(host.pop("hostnames"))] = host
    numbers = {host["name"]: number for number, host in enumerate(hosts.values(), 1)}
    lists = [
        {**each, "entries": each["entries"].split("\n"), "virtual_host_ids": [numbers[name] for name in names]}
        for each in site.get("address_lists", ())
        if (names := each.pop("virtual_hosts"))
    ]
    policies = {policy.pop("name"): policy for policy in site["policies"]}
    return rows(policies, hosts, paths=paths, header_rules=headers, address_lists=lists)


def answer(address: tuple[str, int], origins: list[Origin], host: str, path: str) -> dict[str, Any]:
    """Its status, target and headers, which server got what."""
    before = [len(each.received) for each in origins]
    connection = http.client.HTTPConnection(*address, timeout=60)
    connection.request("GET", path, headers={"host": host, "x-debug": "1"})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    names = ("location", "x-frame-options", "server")
    result: dict[str, Any] = {"status": response.status, **{name: response.headers.get(name) for name in names}}
    result["servers"] = [len(each.received) - count for each, count in zip(origins, before, strict=True)]
    if any(result["servers"]):
        request = json.loads(body)
        headers = dict(request["headers"])
        result["target"] = request["target"]
        result["request"] = {name: headers.get(name) for name in ("host", "x-client", "x-debug")}
    return result


TIMES = (
    "15min",
    "35000min",
    "36000min",
    "2100000sec",
    "2200000sec",
    "1m30s",
    "24days",
    "25d",
    "1.5s",
    "5S",
    "-1",
    "10",
    "10us",
    "9" * 13,
    "1u",
)


@pytest.mark.parametrize("text", TIMES)
def test_a_time_is_read_where_haproxy_starts_with_it(haproxy: str, text: str, tmp_path: Path) -> None:
    """What follows the unit counts for nothing: 36,000 minutes are more than it takes, and so is `36000min`."""
    file = tmp_path / "haproxy.cfg"
    file.write_text(f"{SHARED}  timeout queue {text}\nfrontend web\n  bind 127.0.0.1:1\n")
    check = subprocess.run([haproxy, "-c", "-f", str(file)], capture_output=True, check=False)

    assert (check.returncode == 0) is (seconds(text) is not None), check.stderr


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_answers_are_those_of_the_configuration(
    stack: Stack, haproxy: str, origins: list[Origin], name: str, tmp_path: Path
) -> None:
    address = "127.0.0.1", free_port()
    a, b, c = (each.address for each in origins)
    text = SHARED + (CONFIGURATIONS[name] + BACKENDS).format(bind=f"{address[0]}:{address[1]}", a=a, b=b, c=c)
    (tmp_path / "haproxy.cfg").write_text(text)
    for file, content in FILES.items():
        (tmp_path / file).write_text(content)
    public = text.replace(f"bind {address[0]}:", "bind :")
    site = read(import_configuration(public.encode(), Beside(FILES)).site)

    stack.reload(rows_of(site))
    with running_alone(haproxy, tmp_path / "haproxy.cfg", address):
        for host, path in product(HOSTS, PATHS):
            expected = answer(address, origins, host, path)
            imported = answer(stack.address, origins, host, path)
            if expected["status"] == 403 and imported["status"] == 421:
                assert name == "access", "what the configuration refuses by its hostname has no virtual host"
                expected["status"] = 421
            assert imported == expected, (host, path)
