"""The `guardpanel` command."""

import gc
import io
import json
import os
import socket
import sqlite3
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from guardpanel import __version__
from guardpanel.cli import main
from guardpanel.cli.serving import _url
from guardpanel.cli.site_file import _print_refusal
from guardpanel.cli.variables import described
from guardpanel.database import migrate
from guardpanel.listen_addresses import haproxy_socket_limit
from guardpanel.lock import only_panel
from guardpanel.settings import Settings
from tests.conftest import PASSWORD
from tests.ports import free_port

EVE = "eve@example.org"


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CliRunner]:
    monkeypatch.setenv("GUARDPANEL_DATA_DIR", str(folder / "made" / "here"))
    yield CliRunner()
    gc.enable()  # `up` comes up without, and here it does not come up


def create(run: CliRunner, *more: str, password: str = PASSWORD) -> tuple[int, str]:
    done = run.invoke(main, ["user", "create", EVE, "--password-stdin", *more], input=f"{password}\n")
    return done.exit_code, done.output


def test_neither_help_nor_the_process_that_reads_geo_data_waits_for_models_or_the_web_framework() -> None:
    heavy = "{'fastapi', 'sqlmodel', 'pydantic', 'alembic', 'asyncio'}"
    code = f"import sys, guardpanel.cli, guardpanel.access.geo_files; print(sorted({heavy} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_every_command_says_what_it_does(run: CliRunner) -> None:
    for command in (
        "up",
        "serve",
        "check",
        "render",
        "backup",
        "restore",
        "export",
        "plan",
        "apply",
        "vhost",
        "policy",
        "ban",
        "events",
        "wait-live",
        "commands",
        "user",
        "engines",
        "doctor",
        "health",
        "openapi",
        "configuration",
        "version",
    ):
        done = run.invoke(main, [command, "--help"])
        assert done.exit_code == 0
        assert command in run.invoke(main, ["--help"]).output


@pytest.mark.parametrize("command", [["up"], ["user", "create", EVE, "--password-stdin"], ["render"], ["backup", "-"]])
def test_a_newer_guardpanels_database_is_said_to_be_one(
    run: CliRunner, folder: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    for name in ("LISTEN", "HTTP_BIND"):
        monkeypatch.setenv(f"GUARDPANEL_{name}", f"127.0.0.1:{free_port()}")
    create(run)
    with closing(sqlite3.connect(folder / "made" / "here" / "guardpanel.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    done = run.invoke(main, command, input=f"{PASSWORD}\n")

    assert done.exit_code == 1
    assert "The database’s schema is 9999" in done.output
    assert "Start the version that wrote it" in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("options", "listen"), [(["--prun"], ""), ([], "nowhere"), (["--prune", "one more"], "")], ids=["option", "setting", "argument"]
)  # fmt: skip
def test_a_plan_that_cannot_be_made_is_no_change(
    run: CliRunner, monkeypatch: pytest.MonkeyPatch, options: list[str], listen: str
) -> None:
    """2 says that something would change."""
    if listen:
        monkeypatch.setenv("GUARDPANEL_LISTEN", listen)

    done = run.invoke(main, ["plan", "site.yaml", *options])

    assert done.exit_code == 1, done.output
    assert "Traceback" not in done.output


def test_wait_live_ends_in_time_if_the_panel_does_not_respond(run: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    create(run, "--role", "admin")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        monkeypatch.setenv("GUARDPANEL_LISTEN", f"127.0.0.1:{silent.getsockname()[1]}")
        answering = threading.Thread(target=_healthy_once, args=[silent])
        answering.start()
        done = run.invoke(main, ["wait-live", "--timeout", "0"])
        answering.join(60)

    assert (done.exit_code, done.output) == (1, "The panel did not respond in time.\n")


def _healthy_once(silent: socket.socket) -> None:
    connection, _ = silent.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")


def test_an_account_is_made_before_the_panel_has_ever_run(run: CliRunner, folder: Path) -> None:
    assert create(run, "--role", "admin", "--name", "Eve") == (0, f"Created {EVE} (admin).\n")
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

    assert (code, output) == (1, f"An account already exists for {EVE}.\n")


@pytest.mark.parametrize(
    "command",
    [["export"], ["vhost", "export", "x"], ["policy", "export", "x"], ["check"], ["render"], ["backup", "-"]],
    ids=" ".join,
)
def test_a_directory_without_a_database_is_said_and_nothing_is_created(
    run: CliRunner, folder: Path, command: list[str]
) -> None:
    """A mistyped one must not look like a new installation, whose configuration is empty."""
    done = run.invoke(main, command)

    assert (done.exit_code, done.stdout) == (1, "")
    assert str(folder / "made" / "here" / "guardpanel.db") in done.stderr
    assert list(folder.iterdir()) == []


def test_a_call_from_another_directory_than_the_panels_is_said_and_creates_nothing(
    run: CliRunner, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(60)
        monkeypatch.setenv("GUARDPANEL_LISTEN", f"127.0.0.1:{other.getsockname()[1]}")
        answering = threading.Thread(target=_healthy_once, args=[other])
        answering.start()
        done = run.invoke(main, ["ban", "list"])
        answering.join(60)

    assert (done.exit_code, done.stdout) == (1, "")
    assert "There is no database at" in done.stderr
    assert list(folder.iterdir()) == []


def test_rendered_files_can_be_looked_at(run: CliRunner) -> None:
    create(run)
    files = run.invoke(main, ["render"]).output.split()
    rendered = run.invoke(main, ["render", "haproxy.cfg"])
    missing = run.invoke(main, ["render", "../etc/passwd"])

    assert {"haproxy.cfg", "coraza.yaml", "hosts.map"} <= set(files)
    assert "description guardpanel" in rendered.output.replace('"', "").replace("'", "")
    assert missing.exit_code == 1
    assert "No file named" in missing.output


def test_documents_are_printed(run: CliRunner) -> None:
    assert json.loads(run.invoke(main, ["openapi"]).output)["openapi"].startswith("3.")
    assert run.invoke(main, ["configuration"]).output == described()
    assert run.invoke(main, ["version"]).output == f"{__version__}\n"


def test_a_setting_that_makes_no_sense_is_said_by_its_name(run: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDPANEL_LISTEN", "nonsense")
    done = run.invoke(main, ["render"])

    assert done.exit_code == 2
    assert done.output == "guardpanel: GUARDPANEL_LISTEN: 'nonsense' is not address:port\n"


@pytest.mark.parametrize(
    ("listen", "http_bind", "port"),
    [
        ("127.0.0.1:8000", "127.0.0.1:8000", 8000), ("127.0.0.1:8000", "127.0.0.1:80,:8000", 8000),
        (":80", "192.0.2.7:80", 80), ("[::]:80", "[::1]:80", 80), ("127.0.0.1:80", "[::]:80", 80),
    ],
)  # fmt: skip
def test_the_panel_and_haproxy_cannot_listen_in_one_place(
    run: CliRunner, monkeypatch: pytest.MonkeyPatch, listen: str, http_bind: str, port: int
) -> None:
    monkeypatch.setenv("GUARDPANEL_LISTEN", listen)
    monkeypatch.setenv("GUARDPANEL_HTTP_BIND", http_bind)
    done = run.invoke(main, ["up"])

    assert done.exit_code == 2
    assert done.output == (
        f"guardpanel: GUARDPANEL_LISTEN ({listen}) and GUARDPANEL_HTTP_BIND ({http_bind}) "
        f"both use port {port}. Change one\n"
    )


def test_they_can_share_a_port_of_two_addresses() -> None:
    assert Settings(listen="127.0.0.1:80", http_bind="192.0.2.7:80,[::1]:80").http_binds


def test_the_panel_listens_in_one_place(run: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDPANEL_LISTEN", "127.0.0.1:8001,127.0.0.1:8002")
    done = run.invoke(main, ["up"])

    assert done.exit_code == 2
    assert "GUARDPANEL_LISTEN: '127.0.0.1:8001,127.0.0.1' does not appear to be an IPv4 or IPv6 address" in done.output


def data_dir_of(socket: int) -> Path:
    """Such that the longest of HAProxy's sockets has a path of so many bytes, some of them in letters of two."""
    room = socket - len(os.fsencode(Settings(data_dir=Path("/d/é")).master_socket))
    return Path("/d/é") / ("d" * (room - 1))


def test_a_path_too_long_for_haproxys_sockets_is_said_before_it_starts(
    run: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = haproxy_socket_limit()
    assert Settings(data_dir=data_dir_of(limit)).master_socket.is_absolute()
    monkeypatch.setenv("GUARDPANEL_DATA_DIR", str(data_dir_of(limit + 2)))

    done = run.invoke(main, ["up"])

    assert done.exit_code == 2
    assert f"up to {limit + 2} bytes long, and HAProxy's limit is {limit}" in done.output
    assert "Set GUARDPANEL_DATA_DIR to a path at least 2 bytes shorter" in done.output


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        (b"a,b", "a comma or a dollar sign"),
        (b"a$HOME", "a comma or a dollar sign"),
        (b"a\nb", "a control character"),
        (b"a\x7fb", "a control character"),
        (b"a\xffb", "bytes that are not UTF-8"),
    ],
)
def test_a_path_that_haproxy_or_sqlite_cannot_read_is_said_before_it_starts(
    run: CliRunner, monkeypatch: pytest.MonkeyPatch, name: bytes, wrong: str
) -> None:
    monkeypatch.setenv("GUARDPANEL_DATA_DIR", f"/d/{os.fsdecode(name)}")

    done = run.invoke(main, ["up"])

    assert done.exit_code == 2
    assert done.output.startswith("guardpanel: GUARDPANEL_DATA_DIR: the path has ")
    assert wrong in done.output


@pytest.mark.parametrize("name", ["a?b", "a%41b", "a b#'\"é", "a?x=%2f", "file:a"])
def test_the_database_is_in_the_data_directory_whatever_its_name(folder: Path, name: str) -> None:
    settings = Settings(data_dir=folder / name)
    settings.data_dir.mkdir()

    migrate(settings.database)

    assert [path.name for path in folder.iterdir()] == [name]
    assert (settings.data_dir / "guardpanel.db").stat().st_size


@pytest.mark.parametrize(
    ("output", "code", "words"),
    [("/dev/full", 1, "guardpanel: Cannot write the output: No space left on device.\n"), ("", 0, "")],
    ids=["full", "closed"],
)
def test_a_full_or_closed_output_ends_a_command_without_a_traceback(output: str, code: int, words: str) -> None:
    command = f"{sys.executable} -m guardpanel version {f'> {output}' if output else '>&-'}"
    done = subprocess.run(["/bin/sh", "-c", command], stderr=subprocess.PIPE, text=True, check=False)

    assert (done.returncode, done.stderr) == (code, words)


def test_what_is_held_back_until_the_end_of_a_command_must_be_writable_too() -> None:
    program = (
        "import sys, typer; from guardpanel.cli.output import Commands; app = typer.Typer(cls=Commands); app.callback()(lambda: None); "
        "app.command('backup')(lambda: sys.stdout.buffer.write(b'few') and None); app()"
    )
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-c", program, "backup"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)

    assert (done.returncode, done.stderr) == (1, "guardpanel: Cannot write the output: No space left on device.\n")


def test_an_import_whose_output_is_not_read_is_carried_out(tmp_path: Path) -> None:
    """`| head -1` leaves the exit code as it is, too."""
    reading, writing = os.pipe()
    os.close(reading)
    (tmp_path / "haproxy.cfg").write_text("listen web\n  mode http\n  bind :80\n  server a 10.0.0.1:80\n")
    command = [sys.executable, "-m", "guardpanel", "import", str(tmp_path / "haproxy.cfg"), "--output"]
    done = subprocess.run(
        [*command, str(tmp_path / "site.yaml")], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)

    assert (done.returncode, done.stderr) == (0, "")
    assert "10.0.0.1:80" in (tmp_path / "site.yaml").read_text()


@pytest.mark.parametrize(("pid_max", "limit"), [("32768", 97), ("99999", 97), ("1000000", 96), ("4194304", 95)])
def test_long_process_numbers_leave_less_for_haproxys_sockets(tmp_path: Path, pid_max: str, limit: int) -> None:
    (tmp_path / "pid_max").write_text(f"{pid_max}\n")
    assert haproxy_socket_limit(tmp_path / "pid_max") == limit
    assert haproxy_socket_limit(tmp_path / "none") == 97


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
    assert f"Cannot listen on {address}: Address already in use. Change GUARDPANEL_LISTEN." in done.output
    assert "GUARDPANEL_LISTN is not a known setting" in done.output
    assert looked.exit_code == 1
    assert address in looked.output
    assert "GUARDPANEL_LISTN" in looked.output


def test_health_of_a_panel_that_does_not_run(run: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    for tls in ("on", "off"):
        monkeypatch.setenv("GUARDPANEL_LISTEN", address := f"127.0.0.1:{free_port()}")
        monkeypatch.setenv("GUARDPANEL_LISTEN_TLS", tls)
        done = run.invoke(main, ["health"])

        assert (done.exit_code, done.output) == (1, f"{address} is not responding: Connection refused.\n")


def test_a_certificate_that_cannot_be_used_is_said_before_anything_starts(
    run: CliRunner, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LISTEN", "HTTP_BIND"):
        monkeypatch.setenv(f"GUARDPANEL_{name}", f"127.0.0.1:{free_port()}")
    monkeypatch.setenv("GUARDPANEL_LISTEN_CERTIFICATE_FILE", str(folder / "none.pem"))
    words = f"GUARDPANEL_LISTEN_CERTIFICATE_FILE: {folder}/none.pem: No such file or directory."
    done = run.invoke(main, ["up"])

    assert (done.exit_code, done.output) == (1, f"guardpanel: {words}\n")
    assert f"missing  {words}\n" in run.invoke(main, ["doctor"]).output


def test_unencrypted_passwords_are_said_at_start(run: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDPANEL_LISTEN", f"0.0.0.0:{free_port()}")
    monkeypatch.setenv("GUARDPANEL_HAPROXY_BIN", "/nowhere/haproxy")
    words = "guardpanel: passwords cross the network unencrypted, since GUARDPANEL_LISTEN_TLS is off.\n"

    assert words not in run.invoke(main, ["up"]).output
    monkeypatch.setenv("GUARDPANEL_LISTEN_TLS", "off")
    assert words in run.invoke(main, ["up"]).output
    monkeypatch.setenv("GUARDPANEL_TRUSTED_ORIGINS", "https://panel.example")
    assert words not in run.invoke(main, ["up"]).output


def test_missing_engines_are_said_with_what_to_do(run: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDPANEL_HAPROXY_BIN", "/nowhere/haproxy")
    monkeypatch.setenv("GUARDPANEL_AGENT_BIN", "/nowhere/agent")
    done = run.invoke(main, ["engines"])

    assert done.exit_code == 1
    assert done.output.count("missing") == 2
    assert "/nowhere/haproxy" in done.output


def test_a_backup_goes_to_a_file_or_to_standard_output(run: CliRunner, folder: Path) -> None:
    create(run, "--role", "admin")
    path = folder / "b.tar.gz"

    done = run.invoke(main, ["backup", str(path)])
    piped = run.invoke(main, ["backup", "-"])

    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr.startswith("Backup of no revision yet")
    assert path.stat().st_mode & 0o777 == 0o600
    for data in (path.read_bytes(), piped.stdout_bytes):
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            assert tar.getnames() == ["manifest.json", "guardpanel.db"]


def test_a_backup_whose_reader_has_ended_does_not_blame_the_disk(run: CliRunner, folder: Path) -> None:
    create(run, "--role", "admin")
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "guardpanel", "backup", "-"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)

    assert (done.returncode, done.stderr) == (
        1, "The backup is incomplete: the program that reads it has ended.\n"
    )  # fmt: skip


def test_a_backup_that_cannot_be_made_says_why(run: CliRunner, folder: Path) -> None:
    nothing = run.invoke(main, ["backup", str(folder / "b")])
    create(run)
    short = run.invoke(main, ["backup", str(folder / "b"), "--passphrase-stdin"], input="short\n")
    nowhere = run.invoke(main, ["backup", str(folder / "no" / "b")])

    assert [nothing.exit_code, short.exit_code, nowhere.exit_code] == [1, 1, 1]
    assert "Nothing to back up" in nothing.output
    assert "at least 12 characters" in short.output
    assert "No such file or directory" in nowhere.output
    assert {path.name for path in folder.iterdir()} == {"made"}


def test_what_cannot_be_restored_says_why(run: CliRunner, folder: Path) -> None:
    create(run, "--role", "admin")
    sealed, cut = folder / "sealed", folder / "cut"
    words = "correct horse battery\n"
    assert run.invoke(main, ["backup", str(sealed), "--passphrase-stdin"], input=words).exit_code == 0
    cut.write_bytes(sealed.read_bytes()[:-1])

    messages = [
        run.invoke(main, ["restore", str(path), *more], input=typed)
        for path, more, typed in (
            (sealed, [], ""), (sealed, ["--passphrase-stdin"], "wrong\n"), (cut, ["--passphrase-stdin"], words), (Path("/etc/passwd"), [], ""),
        )
    ]  # fmt: skip
    with only_panel(folder / "made" / "here" / "panel.lock"):
        messages.append(run.invoke(main, ["restore", str(sealed), "--passphrase-stdin"], input=words))

    expected = [
        "encrypted. Enter its passphrase",
        "Incorrect passphrase",
        "incomplete",
        "not a guardpanel backup",
        "Use System › Backup",
    ]
    for done, sentence in zip(messages, expected, strict=True):
        assert done.exit_code == 1
        assert sentence in done.output
        assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("bind", "url"),
    [(("127.0.0.1", 8000), "http://127.0.0.1:8000"), (("0.0.0.0", 80), "http://127.0.0.1:80"), (("::", 80), "http://[::1]:80"),
     (("2001:db8::1", 80), "http://[2001:db8::1]:80")],
)  # fmt: skip
def test_printed_addresses_can_be_opened(bind: tuple[str, int], url: str) -> None:
    assert _url(*bind) == url
    assert _url(*bind, scheme="https") == url.replace("http:", "https:")


def test_a_refused_row_that_the_file_does_not_name_is_called_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    errors = [
        {"field": "policy:1", "pointer": "", "where": "Policy Strict", "message": "In use."},
        {"field": "policies.0.a:b", "pointer": "/policies/0/a:b", "where": "line 3", "message": "Unknown key."},
    ]

    _print_refusal("site.yaml", {"code": "invalid", "errors": errors})

    expected = ["site.yaml: Policy Strict: In use.", "site.yaml:3: policies.0.a:b: Unknown key."]
    assert capsys.readouterr().err.splitlines() == expected


def test_export_prints_the_configuration_without_the_panel(run: CliRunner) -> None:
    create(run)
    done = run.invoke(main, ["export"])

    assert done.exit_code == 0, done.output
    assert done.output.startswith("# Configuration of guardpanel")
    assert "virtual_hosts: []" in done.output
