"""The `guardpanel` command. Imports are inside the commands: `--help` must not wait for the web framework."""

import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from guardpanel.bundle import Bundle
    from guardpanel.database import Database
    from guardpanel.panel import Panel
    from guardpanel.settings import Settings

T = TypeVar("T")

ARENA_MAX = -8
"M_ARENA_MAX of glibc's malloc.h (mallopt(3))."

main = typer.Typer(
    name="guardpanel", help="The control panel for HAProxy + Coraza.", no_args_is_help=True, rich_markup_mode=None
)
user = typer.Typer(help="Accounts.", no_args_is_help=True)
main.add_typer(user, name="user")


@main.command()
def up() -> None:
    """Run the panel, HAProxy and the WAF agent, and keep them running."""
    _serve(supervise=True)


@main.command()
def serve() -> None:
    """Run the panel alone; the engines run elsewhere and are reached by their sockets."""
    _serve(supervise=False)


@main.command()
def ingest(
    parent: Annotated[int | None, typer.Option(help="End when this process, which starts it, ends.")] = None,
) -> None:
    """Read events into their database; `guardpanel up` runs this beside the panel."""
    import logging

    from guardpanel.errors import Problem
    from guardpanel.ingest.run import run

    settings = _settings()
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    try:
        run(settings, parent)
    except Problem as problem:
        typer.echo(f"guardpanel: {problem.message}", err=True)
        raise typer.Exit(1) from problem


@main.command()
def engines() -> None:
    """Say which HAProxy and which WAF agent are used, with their versions."""
    from guardpanel.engines import preflight

    settings = _settings()
    _say_all(_run(preflight.engines_found(settings)))


@main.command()
def doctor() -> None:
    """Look for what would keep guardpanel from running, and say what to do."""
    from guardpanel.engines import preflight

    settings = _settings()
    for name in _unknown():
        typer.echo(f"warning  {name}: nothing reads it; is it misspelt?")
    _say_all([*_run(preflight.engines_found(settings)), *preflight.machine(settings)])


@main.command()
def check() -> None:
    """Render what the database says and have both engines check it. Changes nothing."""
    from guardpanel.errors import ConfigRejected, Problem

    async def ask() -> str:
        from tempfile import TemporaryDirectory

        from guardpanel.engines.releases import Releases

        bundle, panel = await _rendered()
        try:
            with TemporaryDirectory(prefix="guardpanel-") as folder:
                release = Releases(Path(folder)).stage(1, bundle)
                changed = [one.name for one in bundle.applications]
                await panel.engines.check(release, bundle, changed=changed, names=bundle.named_servers)
        finally:
            await panel.close()
        return f"Both engines accept it: {bundle.checksum[:12]}, {len(bundle.applications)} applications."

    try:
        typer.echo(_run(ask()))
    except ConfigRejected as rejected:
        typer.echo(f"{rejected.message}\n{rejected.output}", err=True)
        raise typer.Exit(1) from rejected
    except Problem as problem:
        typer.echo(problem.message, err=True)
        raise typer.Exit(2) from problem


@main.command()
def render(file: Annotated[str, typer.Argument(help="A file's name; without it, their list.")] = "") -> None:
    """Print a file as it would be rendered now."""

    async def ask() -> "Bundle":
        bundle, panel = await _rendered()
        await panel.close()
        return bundle

    files = _run_or_say(ask()).files
    if file and file not in files:
        typer.echo(f"There is no file {file}; there are {', '.join(sorted(files))}.", err=True)
        raise typer.Exit(1)
    typer.echo(files[file].decode() if file else "\n".join(sorted(files)))


@user.command("create")
def user_create(
    email: str,
    role: Annotated[str, typer.Option(help="admin or viewer")] = "viewer",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    name: Annotated[str, typer.Option(help="The person's name.")] = "",
) -> None:
    """Make an account, before or while the panel runs."""
    from sqlalchemy.exc import OperationalError

    from guardpanel.models.user import AccountFields, Role, User
    from guardpanel.services.accounts import Accounts
    from guardpanel.services.input import validated

    if role not in set(Role):
        raise typer.BadParameter("admin or viewer", param_hint="--role")
    password = _line() if password_stdin else typer.prompt("Password", hide_input=True)

    async def create(settings: "Settings") -> User:
        fields = validated(AccountFields, {"email": email, "full_name": name, "password": password})
        database = _database(settings)
        try:
            await database.migrate()
            return await Accounts(database).create(fields, Role(role))
        finally:
            await database.close()

    try:
        made = _run_or_say(create(_settings()))
    except OperationalError as error:
        typer.echo(f"The database cannot be written now: {error.orig}. Try again.", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"{made.email} is {made.role}.")


PassphraseStdin = Annotated[
    bool, typer.Option("--passphrase-stdin", help="Read the backup's passphrase from standard input.")
]


@main.command()
def backup(
    file: Annotated[str, typer.Argument(help="Where to write it; - is standard output.")],
    passphrase_stdin: PassphraseStdin = False,
) -> None:
    """Write all that this installation is to one file, while it runs."""
    from guardpanel.services import sealing
    from guardpanel.services.backups import Backups

    async def write(settings: "Settings") -> str:
        words = sealing.passphrase(_line() if passphrase_stdin else "")
        backups = Backups(settings)
        writing = backups.write(sys.stdout.buffer, words) if file == "-" else backups.write_file(Path(file), words)
        made = await writing
        what = f"revision {made.revision}" if made.revision else "no revision yet"
        return f"{'Encrypted backup' if words else 'Backup'} of {what}, guardpanel {made.guardpanel}: {file}"

    typer.echo(_run_or_say(write(_settings())), err=True)


@main.command()
def restore(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    passphrase_stdin: PassphraseStdin = False,
) -> None:
    """Check a backup and restore it. While a panel runs, its page System › Backup does this."""
    from guardpanel.engines.lock import only_panel
    from guardpanel.errors import Busy
    from guardpanel.services import restores

    settings = _settings()

    async def put_back() -> str:
        from guardpanel.panel import Panel

        words = _line() if passphrase_stdin else ""
        panel = await Panel.open(settings, supervise=False)
        try:
            with file.open("rb") as source:
                candidate = await panel.backups.take(source, words)
            try:
                return await restores.from_command(panel.changes, candidate)
            finally:
                panel.backups.drop(candidate.token)
        finally:
            await panel.close()

    try:
        with only_panel(settings.panel_lock):
            typer.echo(_run_or_say(put_back()))
    except Busy as busy:
        typer.echo(f"{busy.message} Restore on its page System › Backup, or stop it first.", err=True)
        raise typer.Exit(1) from busy


@main.command()
def openapi() -> None:
    """Print the OpenAPI document of /api/v1."""
    import json

    from guardpanel.app import create_app

    typer.echo(json.dumps(create_app(_settings()).openapi(), indent=2, sort_keys=True, ensure_ascii=False))


@main.command()
def configuration() -> None:
    """Print docs/configuration.md, made from the settings."""
    from guardpanel.settings import described

    typer.echo(described(), nl=False)


@main.command()
def version() -> None:
    """Print the version."""
    from guardpanel import __version__

    typer.echo(__version__)


def _run(coroutine: Coroutine[object, object, T]) -> T:
    import asyncio

    return asyncio.run(coroutine)


def _run_or_say(coroutine: Coroutine[object, object, T]) -> T:
    """What it gives; a problem is said, with the engine's words where they are its, and ends the command."""
    from guardpanel.errors import ConfigRejected, Problem

    try:
        return _run(coroutine)
    except Problem as problem:
        for line in [error.message for error in problem.errors.values()] or [problem.message]:
            typer.echo(line, err=True)
        if isinstance(problem, ConfigRejected):
            typer.echo(problem.output, err=True)
        raise typer.Exit(1) from problem


def _line() -> str:
    return sys.stdin.readline().rstrip("\r\n")


def _settings() -> "Settings":
    from pydantic import ValidationError

    from guardpanel.settings import Settings

    try:
        return Settings()
    except ValidationError as error:
        for one in error.errors():
            name = f"GUARDPANEL_{str(one['loc'][0]).upper()}: " if one["loc"] else ""
            typer.echo(f"guardpanel: {name}{one['msg'].removeprefix('Value error, ')}", err=True)
        raise typer.Exit(2) from error


def _unknown() -> list[str]:
    from guardpanel.settings import unknown_variables

    return unknown_variables()


def _say_all(found: "list[tuple[bool, str]]") -> None:
    """One line each; the exit code says whether all is well."""
    for well, words in found:
        typer.echo(f"{'ok' if well else 'missing':8} {words}")
    raise typer.Exit(0 if all(well for well, _ in found) else 1)


async def _rendered() -> "tuple[Bundle, Panel]":
    from guardpanel.panel import Panel
    from guardpanel.rendering import DesiredState
    from guardpanel.rendering import render as render_state
    from guardpanel.services import snapshots

    panel = await Panel.open(_settings(), supervise=False)
    async with panel.database.read() as session:
        rows = snapshots.rows(await snapshots.take(session))
    return render_state(DesiredState.from_rows(rows, panel.changes.renderer.facts)), panel


def _serve(*, supervise: bool) -> None:
    import gc
    import logging
    from contextlib import ExitStack

    gc.disable()  # until the app is up: looking for garbage in what is imported took a seventh of the start

    import uvicorn

    from guardpanel.app import create_app
    from guardpanel.engines import preflight
    from guardpanel.engines.lock import only_panel
    from guardpanel.errors import Problem
    from guardpanel.settings import host_and_port

    _share_memory()
    settings = _settings()
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)
    for name in _unknown():
        typer.echo(f"guardpanel: nothing reads {name}; is it misspelt?", err=True)
    host, port = host_and_port(settings.listen)
    with ExitStack() as held:
        try:
            held.enter_context(only_panel(settings.panel_lock))
            preflight.refuse_busy_ports(settings, proxy=supervise)
            _run(preflight.require_engines(settings))
            _run(_announce(settings, supervise=supervise))
        except Problem as problem:
            typer.echo(f"guardpanel: {problem.message}", err=True)
            raise typer.Exit(1) from problem
        config = uvicorn.Config(
            create_app(settings, supervise=supervise),
            host=host,
            port=port,
            log_level=settings.log_level,
            access_log=False,
            timeout_graceful_shutdown=3,
            server_header=False,
            proxy_headers=True,
        )
        uvicorn.Server(config).run()


def _share_memory() -> None:
    """Two areas of memory for all threads: glibc would give each its own, and each keeps what a large rendering took."""
    import ctypes
    from contextlib import suppress

    with suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).mallopt(ARENA_MAX, 2)


async def _announce(settings: "Settings", *, supervise: bool) -> None:
    """The addresses, and the one-time set-up link while nobody has an account."""
    from guardpanel.services.accounts import Accounts
    from guardpanel.settings import host_and_port

    database = _database(settings)
    try:
        await database.migrate()
        token = await Accounts(database).setup_token()
    finally:
        await database.close()
    panel = _url(*host_and_port(settings.listen))
    typer.echo(f"Panel     {panel}")
    if supervise:
        typer.echo(f"HAProxy   {', '.join(_url(host, port) for host, port in settings.http_binds)}")
    typer.echo(f"Sockets   {settings.run_dir}")
    if token:
        typer.echo(f"\nSet up the first account (works once):\n\n    {panel}/setup/{token}\n")
    sys.stdout.flush()


def _url(host: str, port: int) -> str:
    """One that can be opened on this machine: of all addresses, the loopback one."""
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 read, not bound
    return f"http://[{here}]:{port}" if ":" in here else f"http://{here}:{port}"


def _database(settings: "Settings") -> "Database":
    from guardpanel.database import Database

    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Database(settings.database)
