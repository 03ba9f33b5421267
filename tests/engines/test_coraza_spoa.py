"""Which agent it is, what it can be asked, and that it is given nothing that it does not read."""

import os
import re
import signal
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from guardpanel.engines.waf import coraza_spoa, spop
from guardpanel.engines.waf.agent import Agent, AgentStatus
from guardpanel.engines.waf.coraza_spoa import CorazaSpoa, agent_of
from guardpanel.errors import DeploymentFailed, EngineUnavailable
from guardpanel.models.policies.policy import KIB
from guardpanel.rendering import DesiredState, render
from guardpanel.settings import Settings
from tests.coraza_spoa import stand_in
from tests.rows import FACTS, rows

pytestmark = pytest.mark.anyio

SMALL = replace(FACTS, small_frames=True)

TOP = {"bind", "log_level", "log_file", "log_format", "default_application", "applications"}
OF_APPLICATION = {"name", "directives", "response_check", "transaction_ttl_ms", "log_level", "log_file", "log_format"}
"The keys of coraza-spoa 0.7.2's config.go, which refuses any other."


def binary_that_says(folder: Path, words: str, code: int = 0) -> str:
    binary = folder / "agent"
    binary.write_text(f"#!/bin/sh\ncat <<'END'\n{words}\nEND\nexit {code}\n")
    binary.chmod(0o755)
    return str(binary)


def made(folder: Path) -> CorazaSpoa:
    agent = agent_of(Settings(data_dir=folder, agent_bin=str(stand_in(folder, Path("/nowhere")))))
    assert isinstance(agent, CorazaSpoa)
    return agent


@pytest.mark.parametrize(
    ("words", "code", "foreign"),
    [
        ("guardpanel-spoa 0.1.0, Coraza 3.8.1, OWASP CRS 4.25.0", 0, False),
        ("version\tdev\npath\tgithub.com/corazawaf/coraza-spoa", 0, True),
        ("something else 1.0", 0, True),
        ("flag provided but not defined: -version", 2, False),
        ("", 0, False),
    ],
)
def test_the_binary_says_which_agent_it_is(folder: Path, words: str, code: int, foreign: bool) -> None:
    agent = agent_of(Settings(data_dir=folder, agent_bin=binary_that_says(folder, words, code)))

    assert isinstance(agent, CorazaSpoa) is foreign
    assert ("-control" in agent.command(folder)) is not foreign


def test_a_binary_that_is_missing_is_said_later(folder: Path) -> None:
    assert type(agent_of(Settings(data_dir=folder, agent_bin="/nowhere/agent"))) is Agent


async def test_a_missing_agent_is_down_with_a_reason(folder: Path) -> None:
    agent = made(folder)

    assert await agent.status() == AgentStatus(
        running=False, problem="agent.sock is not responding: No such file or directory.", is_ours=False
    )
    with pytest.raises(EngineUnavailable, match="is not running"):
        await agent.reload()
    with pytest.raises(EngineUnavailable, match="does not report its rules"):
        await agent.rule_messages("p1")


@pytest.mark.parametrize(("pid", "words"), [(0, "another container"), (1, "Operation not permitted")])
async def test_who_cannot_be_told_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch, pid: int, words: str) -> None:
    """Above all nobody signals process 0, which is everybody in our group."""
    signals: list[int] = []

    def kill(pid: int, number: int) -> None:
        signals.append(pid)
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(coraza_spoa, "listener_of", lambda _: pid)
    monkeypatch.setattr(os, "kill", kill)

    with pytest.raises(DeploymentFailed, match=words):
        await made(folder).reload()
    assert signals == [pid] * (pid > 0)


async def test_what_was_written_is_unread_until_it_was_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agent, signals = made(folder), []
    monkeypatch.setattr(coraza_spoa, "listener_of", lambda _: 4711)
    monkeypatch.setattr(os, "kill", lambda *of: signals.append(of))
    document = render(DesiredState.from_rows(rows({"A": {}}, {}), SMALL)).files["coraza.yaml"]
    agent.configuration.parent.mkdir()
    running = AgentStatus(running=True, is_ours=False)

    assert agent.write(document)
    assert not await agent.has_read(running)
    await agent.reload()

    assert signals == [(4711, signal.SIGHUP)]
    assert await agent.has_read(running)
    assert not agent.write(document)
    assert await agent.has_read(running)


async def test_a_load_ends_when_all_judge_or_says_who_does_not(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agent, questions = made(folder), []

    async def judges(_place: Path, name: str, _seconds: float) -> bool:
        questions.append(name)
        return name == "p1" or questions.count(name) > 2

    async def reload() -> None:
        pass

    monkeypatch.setattr(spop, "judges", judges)
    monkeypatch.setattr(agent, "reload", reload)
    await agent.load(["p1", "p2"])
    assert questions.count("p2") == 3

    monkeypatch.setattr(coraza_spoa, "PATIENCE_SECONDS", 0.0)
    questions.clear()
    with pytest.raises(DeploymentFailed, match="SIGHUP") as failed:
        await agent.load(["p1", "p3"])
    assert failed.value.evidence.startswith("No verdict from p3.")


def test_a_socket_that_was_left_behind_is_taken_away_and_a_living_one_is_not(folder: Path) -> None:
    agent = made(folder)
    agent.socket.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(agent.socket))
        listener.listen()
        agent.make_way()
        assert agent.socket.exists()

    agent.make_way()

    assert not agent.socket.exists()


def test_the_file_has_no_key_that_coraza_spoa_refuses() -> None:
    given = rows({"A": {"response_inspection": True}, "B": {"enforcement_mode": "block"}}, {})

    document = yaml.safe_load(render(DesiredState.from_rows(given, SMALL)).files["coraza.yaml"])

    assert set(document) <= TOP
    assert len(document["applications"]) == 2
    for application in document["applications"]:
        assert set(application) <= OF_APPLICATION
        assert application["log_format"] in {"console", "json"}
        assert application["transaction_ttl_ms"] > 0
    assert "default_application" not in document
    assert document["bind"] == "unix:///run/guardpanel/agent.sock"


def test_no_buffer_is_larger_than_it_takes() -> None:
    given = rows({"Large": {"body_limit_kib": 4096}}, {"a.test": {"policy": "Large", "servers": [{"address": "h:1"}]}})

    small, large = (render(DesiredState.from_rows(given, facts)) for facts in (SMALL, FACTS))

    assert f"tune.bufsize {64 * KIB}\n" in small.files["haproxy.cfg"].decode()
    assert f";{48 * KIB};" in small.files["vhosts.map"].decode()
    assert f";{4096 * KIB};" in large.files["vhosts.map"].decode()


def test_it_gets_no_body_processor_that_it_lacks() -> None:
    given = rows({"All": {}}, {"a.test": {"policy": "All", "servers": [{"address": "h:1"}]}})

    text = render(DesiredState.from_rows(given, SMALL)).files["coraza.yaml"].decode()

    assert set(re.findall(r"requestBodyProcessor=(\w+)", text)) == {"URLENCODED", "MULTIPART", "JSON", "XML"}
