"""The `guardpanel` command."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from guardpanel import __version__
from guardpanel.cli import _url, main
from guardpanel.settings import described
from tests.conftest import PASSWORD

EVE = "eve@example.org"


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("GUARDPANEL_DATA_DIR", str(folder / "made" / "here"))
    return CliRunner()


def create(run: CliRunner, *more: str, password: str = PASSWORD) -> tuple[int, str]:
    done = run.invoke(main, ["user", "create", EVE, "--password-stdin", *more], input=f"{password}\n")
    return done.exit_code, done.output


def test_help_does_not_wait_for_the_web_framework() -> None:
    code = "import sys, guardpanel.cli; print(sorted({'fastapi', 'sqlmodel', 'pydantic', 'alembic', 'asyncio'} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_every_command_says_what_it_does(run: CliRunner) -> None:
    for command in (
        "up",
        "serve",
        "check",
        "render",
        "user",
        "engines",
        "doctor",
        "openapi",
        "configuration",
        "version",
    ):
        done = run.invoke(main, [command, "--help"])
        assert done.exit_code == 0
        assert command in run.invoke(main, ["--help"]).output


def test_an_account_is_made_before_the_panel_has_ever_run(run: CliRunner, folder: Path) -> None:
    assert create(run, "--role", "admin", "--name", "Eve") == (0, f"{EVE} is admin.\n")
    assert (folder / "made" / "here" / "guardpanel.db").exists()


@pytest.mark.parametrize(
    ("more", "password", "words"),
    [(["--role", "root"], PASSWORD, "admin or viewer"), ([], "short", "at least 12 characters"), (["--name", "x" * 201], PASSWORD, "At most 200")],
)  # fmt: skip
def test_an_account_that_cannot_be_made_says_why(run: CliRunner, more: list[str], password: str, words: str) -> None:
    code, output = create(run, *more, password=password)

    assert code != 0
    assert words in output
    assert "Traceback" not in output


def test_an_address_has_one_account(run: CliRunner) -> None:
    create(run)
    code, output = create(run)

    assert (code, output) == (1, f"There is already an account for {EVE}.\n")


def test_rendered_files_can_be_looked_at(run: CliRunner) -> None:
    files = run.invoke(main, ["render"]).output.split()
    shown = run.invoke(main, ["render", "haproxy.cfg"])
    missing = run.invoke(main, ["render", "../etc/passwd"])

    assert {"haproxy.cfg", "coraza.yaml", "hosts.map"} <= set(files)
    assert "description guardpanel" in shown.output.replace('"', "").replace("'", "")
    assert missing.exit_code == 1
    assert "There is no file" in missing.output


def test_documents_are_printed(run: CliRunner) -> None:
    assert json.loads(run.invoke(main, ["openapi"]).output)["openapi"].startswith("3.")
    assert run.invoke(main, ["configuration"]).output == described()
    assert run.invoke(main, ["version"]).output == f"{__version__}\n"


def test_a_setting_that_makes_no_sense_is_said_by_its_name(run: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDPANEL_LISTEN", "nonsense")
    done = run.invoke(main, ["render"])

    assert done.exit_code == 2
    assert done.output == "guardpanel: GUARDPANEL_LISTEN: 'nonsense' is not address:port\n"


def test_a_port_in_use_is_said_with_what_to_do(run: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        monkeypatch.setenv("GUARDPANEL_LISTEN", address)
        monkeypatch.setenv("GUARDPANEL_LISTN", "x")
        done = run.invoke(main, ["up"])
        looked = run.invoke(main, ["doctor"])

    assert done.exit_code == 1
    assert (
        f"cannot listen on {address}: Address already in use. Set GUARDPANEL_LISTEN to another address." in done.output
    )
    assert "nothing reads GUARDPANEL_LISTN" in done.output
    assert looked.exit_code == 1
    assert address in looked.output
    assert "GUARDPANEL_LISTN" in looked.output


def test_missing_engines_are_said_with_what_to_do(run: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDPANEL_HAPROXY_BIN", "/nowhere/haproxy")
    monkeypatch.setenv("GUARDPANEL_AGENT_BIN", "/nowhere/agent")
    done = run.invoke(main, ["engines"])

    assert done.exit_code == 1
    assert done.output.count("missing") == 2
    assert "/nowhere/haproxy" in done.output


@pytest.mark.parametrize(
    ("bind", "url"),
    [(("127.0.0.1", 8000), "http://127.0.0.1:8000"), (("0.0.0.0", 80), "http://127.0.0.1:80"), (("::", 80), "http://[::1]:80"),
     (("2001:db8::1", 80), "http://[2001:db8::1]:80")],
)  # fmt: skip
def test_printed_addresses_can_be_opened(bind: tuple[str, int], url: str) -> None:
    assert _url(*bind) == url
