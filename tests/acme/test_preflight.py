"""Preflight ends in time, whatever does not answer, and several of them at once leave threads for saves. Network faults have words."""

import asyncio
import http.client
import socket
import ssl
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from guardpanel.acme.client import Authority
from guardpanel.acme.faults import NOT_ACME, UNREACHABLE, AuthorityFault
from guardpanel.acme.keys import account_key, new_key
from guardpanel.acme.network_words import reason
from guardpanel.acme.preflight import AT_ONCE, Caa, Finding, Network, findings
from guardpanel.services.issuing import deeds
from guardpanel.services.issuing.issuer import CHECKS_AT_ONCE
from tests.acme.authority import Pebble
from tests.acme.worker import Worker
from tests.panel import ROOT
from tests.ports import free_port


def look(names: list[str], network: Network, limit_seconds: float) -> list[Finding]:
    return findings(
        names,
        by_http=True,
        thumbprint_for=lambda _: "t",
        caa_names=["authority.test"],
        network=network,
        limit_seconds=limit_seconds,
    )


def test_a_name_server_that_never_answers_takes_no_longer_than_the_limit_and_the_other_names_are_looked_at() -> None:
    silent = threading.Event()

    def addresses(name: str) -> list[str]:
        if name == "slow.example":
            silent.wait(60)
        return []

    findings = look(["slow.example", "gone.example"], Network(addresses, lambda _: []), 2)
    silent.set()

    assert [finding.name for finding in findings] == ["slow.example", "gone.example"]
    assert findings[0].words.startswith("It took longer than 2 s to look. A name server or an address does not answer.")
    assert findings[1].words == "It does not resolve to an address."


def test_a_hundred_names_are_looked_at_side_by_side_and_found_in_order() -> None:
    together = threading.Barrier(AT_ONCE)

    def caa(name: str) -> list[Caa]:
        together.wait(60)  # It breaks unless so many look at once.
        return [Caa("issue", "other.test")]

    names = [f"n{number}.example" for number in range(AT_ONCE * 12)]
    findings = look(names, Network(lambda _: [], caa), 60)

    assert [finding.name for finding in findings if finding.is_certain] == names
    assert [finding.name for finding in findings if not finding.is_certain] == names


def test_a_domain_that_no_authority_may_issue_for_is_told_so() -> None:
    (finding,) = look(["shop.example"], Network(lambda _: [], lambda _: [Caa("issue", ";")]), 60)[:1]

    assert finding == Finding("shop.example", "The CAA records of shop.example allow no authority to issue.", True)


def test_what_fails_in_a_look_is_not_swallowed() -> None:
    def caa(name: str) -> list[Caa]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        look(["a.example"], Network(lambda _: [], caa), 30)


@pytest.mark.anyio
async def test_operators_preflights_run_two_at_a_time(panel: Any) -> None:
    worker, open_door, running, most = Worker(panel), asyncio.Event(), 0, 0
    numbers = [await worker.add(f"{name}.example", name=name) for name in ("a", "b", "c")]

    async def findings(*_: object) -> list[Finding]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await open_door.wait()
        running -= 1
        return []

    worker.issuer.checks = SimpleNamespace(findings=findings)  # type: ignore[assignment]
    looks = [asyncio.create_task(deeds.preflight(worker.issuer, number)) for number in numbers]
    async with asyncio.timeout(60):
        while running < CHECKS_AT_ONCE:
            await asyncio.sleep(0)
    open_door.set()

    assert await asyncio.gather(*looks) == [[], [], []]
    assert most == CHECKS_AT_ONCE


@pytest.fixture
def answering() -> Any:
    """A server that answers each connection with these bytes."""
    listening = socket.create_server(("127.0.0.1", free_port()))

    def serve(answer: bytes) -> int:
        def run() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)

        threading.Thread(target=run, daemon=True).start()
        return int(listening.getsockname()[1])

    yield serve
    listening.close()


def fault(url: str) -> AuthorityFault:
    with pytest.raises(AuthorityFault) as refused:
        Authority(url, account_key(new_key())).terms()
    return refused.value


def test_an_authority_that_cannot_be_reached_is_told_in_words(answering: Any, web: int, pebble: Pebble) -> None:
    port = free_port()
    records = {
        f"http://127.0.0.1:{port}/dir": f"127.0.0.1:{port}: the connection was refused.",
        "http://nowhere.invalid/dir": "nowhere.invalid: its name does not resolve.",
        f"https://127.0.0.1:{web}/dir": f"127.0.0.1:{web}: it does not speak TLS as expected.",
        pebble.url: f"127.0.0.1:{pebble.port}: its certificate is not trusted",
        f"http://127.0.0.1:{answering(b'')}/dir": "it closed the connection without an answer.",
    }
    for url, words in records.items():
        refused = fault(url).fault
        assert refused.message == UNREACHABLE, url
        assert words in refused.detail, (url, refused.detail)
        assert not any(python in refused.detail for python in ("Error", "Errno", "Pool", "object at")), refused.detail

    page = b"HTTP/1.0 200 OK\r\ncontent-type: text/html\r\n\r\n<h1>Maintenance</h1>"
    html = fault(f"http://127.0.0.1:{answering(page)}/dir").fault
    assert (html.message, html.detail) == (NOT_ACME, "HTTP status 200, with a web page instead of JSON.")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), "it did not answer in time"),
        (OSError(113, "No route to host"), "there is no route to it"),
        (OSError(28, "No space left on device"), "no space left on device"),
        (http.client.BadStatusLine("x"), "it does not answer in HTTP"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER]"), "it does not speak TLS as expected"),
        (ValueError("<urllib3.connection object at 0x7f>"), "the connection failed"),
    ],
)
def test_every_kind_of_network_fault_has_words(error: Exception, words: str) -> None:
    assert reason(error) == words
    assert reason(Exception(error)) == words


def test_no_module_of_acme_shows_pythons_words() -> None:
    leaks = [
        f"{path.name}: {line.strip()}"
        for path in (ROOT / "guardpanel" / "acme").glob("*.py")
        for line in path.read_text().splitlines()
        if "type(error)" in line or "{error}" in line
    ]
    assert not leaks
