"""Our parsers on what the real engines said, of each version (`transcripts/`, recorded by record.py)."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from guardpanel.bundle import Application, Origin
from guardpanel.engines.haproxy.haproxy import rejected
from guardpanel.engines.haproxy.master_cli import MasterCli
from guardpanel.engines.haproxy.server_states import Servers
from guardpanel.engines.haproxy.status import haproxy_status
from guardpanel.engines.processes.process import Completed, run
from guardpanel.engines.servers.handover import rows_in
from guardpanel.engines.waf import agent_refusals
from guardpanel.engines.waf.agent import Agent, RunningApplication
from guardpanel.errors import ConfigRejected, DeploymentFailed, EngineUnavailable
from guardpanel.views import refusals
from tests.certificates.made import full_chain, leaf
from tests.engines.record import TRANSCRIPTS
from tests.haproxies import VERSIONS, haproxy_binary

pytestmark = pytest.mark.anyio

SPOA = TRANSCRIPTS / "guardpanel-spoa"

COMMANDS = {
    "show proc": "show-proc",
    "@1 show info": "show-info",
    "@1 show stat -1 4 -1": "show-stat",
    "@1 show servers state": "show-servers-state",
    "@1 show backend": "show-backend",
    "@1 show map": "show-map",
    "@1 show table uninspected": "show-table",
    "reload": "reload",
}

NO_SUCH_TABLE = {"@1 show table large_bodies": b"No such table\n\n"}
"What was recorded has none (HAProxy's src/stick_table.c, cli_parse_table_req())."


@pytest.fixture(params=sorted(TRANSCRIPTS.glob("haproxy-*")), ids=lambda folder: folder.name)
def transcripts(request: pytest.FixtureRequest) -> Path:
    """The transcripts of one HAProxy."""
    return request.param  # type: ignore[no-any-return]


@asynccontextmanager
async def master(transcripts: Path, folder: Path, **instead: str) -> AsyncIterator[MasterCli]:
    """A master that gives these answers; `instead` names others: `show_proc="show-proc-refused"`."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        command = (await reader.readline()).decode().strip()
        name = instead.get(command.replace(" ", "_"), COMMANDS.get(command))
        writer.write((transcripts / f"{name}.txt").read_bytes() if name else NO_SUCH_TABLE[command])
        await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(answer, folder / "master.sock"):
        yield MasterCli(folder / "master.sock")


def version_of(transcripts: Path) -> str:
    return transcripts.name.removeprefix("haproxy-")


def test_every_branch_that_is_promised_was_recorded() -> None:
    from guardpanel.engines.haproxy.versions import BRANCHES

    assert {tuple(map(int, version_of(path).split("."))) for path in TRANSCRIPTS.glob("haproxy-*")} == set(BRANCHES)


async def test_processes_are_told_apart(transcripts: Path, tmp_path: Path) -> None:
    async with master(transcripts, tmp_path) as cli:
        first = await cli.processes()
    async with master(transcripts, tmp_path, show_proc="show-proc-old-worker") as cli:
        reloaded = await cli.processes()
    async with master(transcripts, tmp_path, show_proc="show-proc-refused") as cli:
        refused = await cli.processes()

    assert first.version.startswith(f"{version_of(transcripts)}.")
    assert (len(first.workers), first.old_workers, first.failed) == (1, (), 0)
    assert (len(reloaded.workers), reloaded.old_workers, reloaded.failed) == (1, first.workers, 0)
    assert reloaded.uptime_seconds >= 1
    assert refused.failed == 1
    assert set(reloaded.workers) <= {*refused.workers, *refused.old_workers}
    assert {first.master, reloaded.master, refused.master} == {first.master}


async def test_the_status_page_reads_what_runs(transcripts: Path, tmp_path: Path) -> None:
    async with master(transcripts, tmp_path) as cli:
        status = await haproxy_status(cli)

    assert status.problem is None
    assert status.running
    assert status.is_tested
    assert len(status.checksum or "") == 64
    assert status.uninspected == {2: 1}
    assert status.dropped_logs == 0


async def test_haproxy_that_refused_a_reload_still_runs(transcripts: Path, tmp_path: Path) -> None:
    """From 3.1 on the worker that serves stands among the old ones then."""
    async with master(transcripts, tmp_path, show_proc="show-proc-refused") as cli:
        status = await haproxy_status(cli)

    assert (status.running, status.failed_reloads) == (True, 1)


@pytest.mark.parametrize(
    ("transcript", "has_it"),
    [("set-address", True), ("set-address-again", True), ("set-address-of-none", False)],
)
async def test_whether_a_server_took_an_address_is_read(
    transcripts: Path, tmp_path: Path, transcript: str, has_it: bool
) -> None:
    command = "@1_set_server_be_1/s2_addr_127.0.0.2"
    async with master(transcripts, tmp_path, **{command: transcript}) as cli:
        assert await cli.set_address("be_1", "s2", "127.0.0.2") is has_it


async def test_servers_have_their_states(transcripts: Path, tmp_path: Path) -> None:
    async with master(transcripts, tmp_path) as cli:
        servers = Servers(await cli.stat())

    assert servers.states == {
        "be_1": [("s1", "UP"), ("s2", "DOWN"), ("s3", "MAINT"), ("s4", "RESOLVING")],
        "be_2": [("s1", "no check")],
        "be_3": [("s1", "DOWN")],
    }
    up, down, disabled, nameless = servers.of("be_1")
    (wrong,) = servers.of("be_3")
    assert (up.check, up.check_code, up.is_up) == ("Layer7 check passed", "200", True)
    assert up.address.startswith("127.0.0.1:")
    assert "Connection refused" in down.check
    assert (wrong.check_code, wrong.is_up) == ("200", False)
    assert (disabled.check, nameless.address) == ("", "")


async def test_a_state_file_has_each_server_by_name(transcripts: Path, tmp_path: Path) -> None:
    async with master(transcripts, tmp_path) as cli:
        rows = rows_in(await cli.server_states())

    states = {
        key: (row["srv_addr"], row["srv_op_state"], row["srv_check_result"])
        for key, row in rows.items()
        if key[0] != "waf_agent"
    }
    assert states == {
        ("be_1", "s1"): ("127.0.0.1", "2", "3"),
        ("be_1", "s2"): ("127.0.0.1", "0", "2"),
        ("be_1", "s3"): ("127.0.0.1", "0", "0"),
        ("be_1", "s4"): ("-", "0", "0"),
        ("be_2", "s1"): ("127.0.0.1", "2", "0"),
        ("be_3", "s1"): ("127.0.0.1", "0", "2"),
    }


async def test_maps_and_backends_are_found_by_their_names(transcripts: Path, tmp_path: Path) -> None:
    async with master(transcripts, tmp_path) as cli:
        maps = await cli.maps()
        checksum = (await haproxy_status(cli)).checksum or ""

        assert set(maps.values()) == {"hosts.map", "wildcards.map", "patience.map", "vhosts.map"}
        assert await cli.has_backend(f"gp_end_{checksum[:12]}")
        assert not await cli.has_backend("gp_end_000000000000")


async def test_what_a_master_answers_to_a_reload_comes_through(transcripts: Path, tmp_path: Path) -> None:
    async with master(transcripts, tmp_path) as cli:
        good = await cli.reload()
    async with master(transcripts, tmp_path, reload="reload-refused") as cli:
        bad = await cli.reload()

    if version_of(transcripts) == "2.6":
        assert good == bad == ""
    else:
        assert good.startswith("Success=1")
        assert bad.startswith("Success=0")
        assert "balance only supports" in bad


def refusal(transcripts: Path, name: str) -> ConfigRejected:
    """With the line that the first complaint names known as that of a field."""
    output = (transcripts / f"{name}.txt").read_text("utf-8")
    first = next(line for line in output.splitlines() if line.startswith("[ALERT]"))
    at = int(first.partition("haproxy.cfg:")[2].partition("]")[0] or 0)
    origins: Mapping[str, Mapping[int, Origin]] = {"haproxy.cfg": {at: Origin("virtual_host", 1, "balance")}}
    return rejected(Completed(1, output), Path("/data"), origins)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("check-unknown-algorithm", "balance only supports 'roundrobin'"),
        ("check-unknown-option", "unknown option 'htpchk'"),
        ("check-bad-server", "weight of server s2 is not within 0 and 256 (999)"),
        ("check-unknown-name", "could not resolve address 'nowhere.invalid'"),
        ("check-no-map", "failed to open pattern file <nowhere.map>"),
    ],
)
def test_a_complaint_is_found_at_its_field(transcripts: Path, name: str, words: str) -> None:
    finding = refusal(transcripts, name).findings[0]

    assert words in finding.message
    assert (finding.noun, finding.noun_id, finding.field) == ("virtual_host", 1, "balance")
    assert finding.file == "haproxy.cfg"
    assert not any(line.startswith("[") for line in finding.message.splitlines())


def test_a_server_that_is_named_without_its_line_is_found_all_the_same(transcripts: Path) -> None:
    output = (transcripts / "check-bad-server.txt").read_text("utf-8")

    finding = rejected(Completed(1, output), Path("/data"), {}).findings[0]

    assert (finding.noun, finding.noun_id, finding.field) == ("virtual_host", 1, "servers.1.address")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("fault", ["damaged", "no key", "another key"])
async def test_a_complaint_about_a_certificate_names_it_by_its_id(version: str, fault: str, tmp_path: Path) -> None:
    """Nothing of it is recorded: a transcript would hold a key."""
    key = {"no key": "", "another key": leaf(kind="other").key_pem}
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs/17.pem").write_text("x" if fault == "damaged" else full_chain() + key[fault])
    (tmp_path / "crt-list.txt").write_text("certs/17.pem shop.example\n")
    (tmp_path / "haproxy.cfg").write_text("frontend f\n    bind 127.0.0.1:1 ssl crt-list crt-list.txt\n")
    result = await run([haproxy_binary(version), "-c", "-f", tmp_path / "haproxy.cfg"], cwd=tmp_path)

    finding = rejected(result, tmp_path, {}).findings[0]

    assert (finding.noun, finding.noun_id, finding.field) == ("certificate", 17, "certificate")
    assert "certs/17.pem" in finding.message
    refused = ConfigRejected("No.", engine="HAProxy", output="", findings=[finding])
    assert [link["url"] for link in refusals.refusal(refused, 7)["links"]] == ["/certificates/17"]


def test_warnings_are_no_complaints(transcripts: Path) -> None:
    output = (transcripts / "check-warning.txt").read_text("utf-8")

    assert "WARNING" in output
    assert rejected(Completed(0, output), Path("/data"), {}).findings == ()


@asynccontextmanager
async def control(folder: Path, status: int, name: str) -> AsyncIterator[Agent]:
    """An agent whose control socket gives one answer."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = (SPOA / name).read_bytes()
        writer.write(b"HTTP/1.1 %d x\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body))
        await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(answer, folder / "control.sock"):
        yield Agent("", folder / "control.sock", folder / "coraza.yaml")


async def test_the_agent_says_what_it_runs(tmp_path: Path) -> None:
    async with control(tmp_path, 200, "status.json") as running:
        status = await running.status()

    assert status.problem is None
    assert (status.coraza_version, status.crs_version) == ("3.8.1", "4.25.0")
    assert len(status.config_checksum) == 64
    first, second = status.applications
    assert isinstance(first, RunningApplication)
    assert first.name < second.name
    assert status.runs([first.name, second.name])
    assert not status.runs(["p000000000000"])
    assert first.rules > 600


async def test_rules_have_their_own_words(tmp_path: Path) -> None:
    async with control(tmp_path, 200, "rules.json") as running:
        messages = await running.rule_messages("p000000000000")

    assert messages[190201] == "More arguments in the address than the policy takes"


async def test_a_reload_that_the_agent_refuses_fails_with_its_words(tmp_path: Path) -> None:
    async with control(tmp_path, 200, "reload.json") as running:
        await running.reload()
    async with control(tmp_path, 422, "reload-refused.json") as running:
        with pytest.raises(DeploymentFailed) as refused:
            await running.reload()
        with pytest.raises(EngineUnavailable):
            await running.rule_messages("p000000000000")

    assert 'invalid rule engine status: \\"Sometimes\\"' in refused.value.evidence


def test_a_rule_that_the_agent_refuses_is_a_policys() -> None:
    output = (SPOA / "validate-refused.txt").read_text("utf-8")
    name = output.partition('"application":"')[2].partition('"')[0]
    line = int(output.partition('"line":')[2].partition(",")[0])
    application = Application(name, "", False, True, (7,), {line: Origin("policy", 7, "enforcement_mode")})

    (finding,) = agent_refusals.rejected(output, [application]).findings
    (elsewhere,) = agent_refusals.rejected(output, [Application(name, "", False, True, (7,), {})]).findings

    assert "invalid rule engine status" in finding.message
    assert (finding.noun, finding.noun_id, finding.field, finding.line) == ("policy", 7, "enforcement_mode", line)
    assert (elsewhere.noun, elsewhere.noun_id, elsewhere.field) == ("policy", 7, None)
