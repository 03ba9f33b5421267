"""Names of servers: asked all at once, within one time, and what they lead to is looked at."""

import asyncio
import socket
import threading
from collections.abc import Sequence

import pytest

from guardpanel.bundle import Bundle, NamedServer, Origin
from guardpanel.engines.servers.names import Names, Resolution, must_have_addresses
from guardpanel.errors import ConfigRejected
from guardpanel.rendering import DesiredState, render
from guardpanel.services.saving.refusals import field_error
from tests.rows import FACTS, rows

pytestmark = pytest.mark.anyio

ADDRESSES = {
    "app.lan": ["10.0.0.5", "10.0.0.6"],
    "both.lan": ["10.0.0.7", "2001:db8::7"],
    "metadata.lan": ["169.254.169.254"],
    "rebound.lan": ["169.254.169.254", "10.0.0.9"],
    "self.lan": ["127.0.0.1"],
}


class Resolver:
    """Answers at once, but for what is silent until it is told to speak."""

    def __init__(self) -> None:
        self.speaks = threading.Event()
        self.lookups: list[str] = []

    def __call__(self, name: str) -> Sequence[str]:
        self.lookups.append(name)
        if name.startswith("silent"):
            self.speaks.wait(60)
        if name == "again.lan":
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        if name not in ADDRESSES:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return ADDRESSES[name]


async def test_silent_names_cost_one_time_for_all_and_hide_no_answer() -> None:
    resolver = Resolver()
    names = Names(resolver)

    answers = await names.find(["app.lan", "both.lan", *(f"silent{at}.lan" for at in range(50))], longest=2)

    assert answers["app.lan"].addresses == ("10.0.0.5", "10.0.0.6")
    assert answers["both.lan"].addresses == ("10.0.0.7", "2001:db8::7")
    assert {answers[f"silent{at}.lan"] for at in range(50)} == {Resolution(problem="no response in time (2 s)")}
    resolver.speaks.set()


async def test_a_name_that_is_being_asked_for_is_not_asked_for_again() -> None:
    resolver = Resolver()
    names = Names(resolver)
    await names.find(["silent.lan"], longest=0.01)
    asking = asyncio.create_task(names.find(["silent.lan"], longest=60))
    await asyncio.sleep(0)
    resolver.speaks.set()

    assert (await asking)["silent.lan"] == Resolution(problem="Name or service not known", is_none=True)
    assert resolver.lookups == ["silent.lan"]
    await names.find(["silent.lan"], longest=60)
    assert resolver.lookups == ["silent.lan"] * 2


async def test_a_name_leads_nowhere_that_may_not_be_typed() -> None:
    answers = await Names(Resolver()).find(["metadata.lan", "rebound.lan"])

    assert answers["metadata.lan"] == Resolution(problem="169.254.169.254 can’t be a server", is_none=True)
    assert answers["rebound.lan"].addresses == ("10.0.0.9",)


async def test_this_machines_own_names_have_addresses() -> None:
    answer = (await Names().find(["localhost"]))["localhost"]
    assert answer.addresses
    assert answer.addresses[0] in {"127.0.0.1", "::1"}


async def test_every_name_is_refused_with_words_of_its_own_at_its_own_field() -> None:
    addresses = ["app.lan", "typo.lan", "10.0.0.1", "again.lan", "silent.lan", "metadata.lan", "self.lan:8080"]
    state = DesiredState.from_rows(
        rows({}, {"shop.example": {"servers": [{"address": address} for address in addresses]}}), FACTS
    )
    bundle = render(state)
    resolver = Resolver()
    answers = await Names(resolver).find([server.host for server in bundle.named_servers], longest=2)

    with pytest.raises(ConfigRejected) as refused:
        must_have_addresses(bundle.named_servers, answers, bundle, FACTS.http_binds)

    resolver.speaks.set()
    errors = {finding.field: field_error(finding) for finding in refused.value.findings}
    assert {name: error.message for name, error in errors.items()} == {
        "servers.1.address": "typo.lan does not resolve. Check the spelling, or enter an IP address.",
        "servers.3.address": "again.lan can’t be resolved because no name server responds. "
        "Try again, or enter an IP address.",
        "servers.4.address": "silent.lan can’t be resolved because no name server responds. "
        "Try again, or enter an IP address.",
        "servers.5.address": "metadata.lan does not resolve. Check the spelling, or enter an IP address.",
        "servers.6.address": "HAProxy itself listens on self.lan:8080. Using it would create a loop.",
    }
    assert errors["servers.1.address"].engine == (
        "This machine’s resolver: “could not resolve address 'typo.lan': Name or service not known”"
    )
    assert errors["servers.1.address"].where == f"haproxy.cfg line {line_of(bundle, 's2 typo.lan')}"


def line_of(bundle: Bundle, words: str) -> int:
    lines = bundle.files["haproxy.cfg"].decode().split("\n")
    return next(at for at, line in enumerate(lines, 1) if words in line)


def test_servers_whose_names_have_addresses_are_not_refused() -> None:
    servers = [NamedServer(Origin("virtual_host", 1, "servers.0.address"), "app.lan", 80)]
    bundle = render(DesiredState.from_rows(rows({}, {"shop.example": {"servers": [{"address": "app.lan"}]}}), FACTS))
    must_have_addresses(servers, {"app.lan": Resolution(("10.0.0.5",))}, bundle, FACTS.http_binds)
