"""The `guardpanel` command. Imports are inside the commands: `--help` must not wait for the web framework."""

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from guardpanel.bundle import Bundle
    from guardpanel.panel import Panel
    from guardpanel.settings import Settings

main = typer.Typer(name="guardpanel", help="The control panel for HAProxy + Coraza.", no_args_is_help=True)
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
def engines() -> None:
    """Say which HAProxy and which WAF agent are used, and whether they are fit."""
    from guardpanel.engines import Engines
    from guardpanel.errors import EngineUnavailable

    async def ask() -> bool:
        found = Engines(_settings(), "")
        well = True
        for name, binary in (("HAProxy", found.haproxy.binary), ("WAF agent", found.agent.binary)):
            try:
                version = ".".join(map(str, await found.haproxy.version())) if name == "HAProxy" else ""
                typer.echo(f"{name}: {binary()} {version}".rstrip())
            except EngineUnavailable as error:
                well = False
                typer.echo(f"{name}: {error.message}")
        return well

    raise typer.Exit(0 if asyncio.run(ask()) else 1)


@main.command()
def check() -> None:
    """Render what the database says and have both engines check it. Changes nothing."""
    from guardpanel.errors import ConfigRejected, Problem

    async def ask() -> int:
        from tempfile import TemporaryDirectory

        from guardpanel.engines.releases import Releases

        bundle, panel = await _rendered()
        try:
            with TemporaryDirectory(prefix="guardpanel-") as folder:
                release = Releases(Path(folder)).stage(1, bundle)
                changed = [one.name for one in bundle.applications]
                await panel.engines.check(release, bundle, changed=changed, names=bundle.named_servers)
        except ConfigRejected as rejected:
            typer.echo(f"{rejected.message}\n{rejected.output}", err=True)
            return 1
        except Problem as problem:
            typer.echo(problem.message, err=True)
            return 2
        finally:
            await panel.close()
        typer.echo(f"Both engines accept it: {bundle.checksum[:12]}, {len(bundle.applications)} applications.")
        return 0

    raise typer.Exit(asyncio.run(ask()))


@main.command()
def render(file: Annotated[str, typer.Argument(help="A file's name; without it, their list.")] = "") -> None:
    """Print a file as it would be rendered now."""

    async def ask() -> None:
        bundle, panel = await _rendered()
        await panel.close()
        if file and file not in bundle.files:
            typer.echo(f"There is no file {file}; there are {', '.join(sorted(bundle.files))}.", err=True)
            raise typer.Exit(1)
        typer.echo(bundle.files[file].decode() if file else "\n".join(sorted(bundle.files)))

    asyncio.run(ask())


@user.command("create")
def user_create(
    email: str,
    role: Annotated[str, typer.Option(help="admin or viewer")] = "viewer",
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")] = False,
    name: Annotated[str, typer.Option(help="The person's name.")] = "",
) -> None:
    """Make an account, before or while the panel runs."""
    from guardpanel.database import Database
    from guardpanel.errors import Problem
    from guardpanel.models.user import AccountFields, Role
    from guardpanel.services.accounts import Accounts
    from guardpanel.services.input import validated

    if role not in set(Role):
        raise typer.BadParameter("admin or viewer", param_hint="--role")
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else typer.prompt("Password", hide_input=True)

    async def create() -> None:
        settings = _settings()
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        database = Database(settings.database)
        try:
            await database.migrate()
            fields = validated(AccountFields, {"email": email, "full_name": name, "password": password})
            made = await Accounts(database).create(fields, Role(role))
        finally:
            await database.close()
        typer.echo(f"{made.email} is {made.role}.")

    try:
        asyncio.run(create())
    except Problem as problem:
        for line in [error.message for error in problem.errors.values()] or [problem.message]:
            typer.echo(line, err=True)
        raise typer.Exit(1) from problem


@main.command()
def openapi() -> None:
    """Print the OpenAPI document of /api/v1."""
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


async def _rendered() -> "tuple[Bundle, Panel]":
    from guardpanel.panel import Panel
    from guardpanel.rendering import DesiredState
    from guardpanel.rendering import render as render_state
    from guardpanel.services import snapshots

    panel = await Panel.open(_settings(), supervise=False)
    async with panel.database.read() as session:
        rows = await snapshots.take(session)
    return render_state(DesiredState.from_rows(rows, panel.changes.facts)), panel


def _serve(*, supervise: bool) -> None:
    import uvicorn

    from guardpanel.app import create_app
    from guardpanel.errors import EngineUnavailable
    from guardpanel.engines.preflight import refuse_busy_ports, require_engines
    from guardpanel.settings import host_and_port, unknown_variables

    settings = _settings()
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)
    for name in unknown_variables():
        typer.echo(f"guardpanel: nothing reads {name}; is it misspelt?", err=True)
    try:
        refuse_busy_ports(settings, proxy=supervise)
        asyncio.run(require_engines(settings))
    except EngineUnavailable as error:
        typer.echo(f"guardpanel: {error.message}", err=True)
        raise typer.Exit(1) from error
    host, port = host_and_port(settings.listen)
    asyncio.run(_announce(settings, supervise=supervise))
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(settings, supervise=supervise), host=host, port=port, log_level=settings.log_level, access_log=False,
            timeout_graceful_shutdown=3, server_header=False, proxy_headers=True,
        )  # fmt: skip
    )
    server.run()


async def _announce(settings: "Settings", *, supervise: bool) -> None:
    """The addresses, and the one-time set-up link while nobody has an account."""
    from guardpanel.database import Database
    from guardpanel.services.accounts import Accounts

    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(settings.database)
    await database.migrate()
    token = await Accounts(database).setup_token()
    await database.close()
    typer.echo(f"Panel     http://{settings.listen}")
    if supervise:
        typer.echo(f"HAProxy   {', '.join(f'http://{bind.strip()}' for bind in settings.http_bind.split(','))}")
    typer.echo(f"Data      {settings.data_dir}")
    if token:
        typer.echo(f"\nSet up the first account (works once):\n\n    http://{settings.listen}/setup/{token}\n")
    sys.stdout.flush()
