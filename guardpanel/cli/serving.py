"""Commands that run until they are stopped."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from guardpanel.cli.running import database_of, run, settings_or_say

if TYPE_CHECKING:
    import uvicorn

    from guardpanel.engines.tls.panel_tls import PanelTls
    from guardpanel.settings import Settings

app = typer.Typer()


@app.command()
def up() -> None:
    """Run the panel, HAProxy and the WAF agent, and keep them running."""
    _serve(supervise=True)


@app.command()
def serve() -> None:
    """Run only the panel. HAProxy and the agent run elsewhere and are reached through their sockets."""
    _serve(supervise=False)


@app.command()
def ingest(
    parent: Annotated[int | None, typer.Option(help="Exit when this process exits.")] = None,
) -> None:
    """Read events into their database. `guardpanel up` starts this automatically."""
    import logging

    from guardpanel.errors import Problem
    from guardpanel.ingest.run import run

    settings = settings_or_say()
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    try:
        run(settings, parent)
    except Problem as problem:
        typer.echo(f"guardpanel: {problem.message}", err=True)
        raise typer.Exit(1) from problem


def _serve(*, supervise: bool) -> None:
    import gc
    import logging
    from contextlib import ExitStack

    gc.disable()  # Until the app is up: collecting garbage during imports took a seventh of the startup time.

    from guardpanel import malloc
    from guardpanel.cli.server import Server
    from guardpanel.cli.variables import unknown_variables
    from guardpanel.engines import preflight
    from guardpanel.errors import Problem
    from guardpanel.lock import only_panel
    from guardpanel.services.issuing.proofs import setup_problems

    malloc.limit()
    settings = settings_or_say()
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)
    for name in unknown_variables():
        typer.echo(f"guardpanel: {name} is not a known setting. Check the spelling.", err=True)
    if settings.listens_beyond_loopback and settings.listen_tls == "off" and not settings.trusted_origins:
        typer.echo("guardpanel: passwords cross the network unencrypted, since GUARDPANEL_LISTEN_TLS is off.", err=True)
    for words in setup_problems(settings):
        typer.echo(f"guardpanel: {words} Certificates can’t be ordered with it.", err=True)
    with ExitStack() as held:
        try:
            held.enter_context(only_panel(settings.panel_lock))
            _leave_former_place(settings)
            preflight.refuse_busy_ports(settings, proxy=supervise)
            run(preflight.require_engines(settings))
            _warn_of_no_tls(settings)
            tls = _own_tls(settings) if settings.serves_tls else None
            announcement = run(_announcement(settings, tls, supervise=supervise))
        except Problem as problem:
            typer.echo(f"guardpanel: {problem.message}", err=True)
            raise typer.Exit(1) from problem
        Server(_config(settings, tls, supervise=supervise), announcement).run()


def _leave_former_place(settings: "Settings") -> None:
    from guardpanel.engines.moved import leave_former_place

    if former := leave_former_place(settings):
        typer.echo(f"guardpanel: the data directory was at {former}. Its files are rendered anew.", err=True)


def _warn_of_no_tls(settings: "Settings") -> None:
    from guardpanel.engines import preflight
    from guardpanel.engines.haproxy.haproxy import HAProxy

    for is_well, words in run(preflight.https(settings, HAProxy(settings.haproxy_bin))):
        if not is_well:
            typer.echo(f"guardpanel: {words}", err=True)


def _own_tls(settings: "Settings") -> "PanelTls":
    from datetime import UTC, datetime

    from guardpanel.engines.tls import panel_certificate
    from guardpanel.engines.tls.panel_tls import PanelTls

    return PanelTls(settings, panel_certificate.read(settings, datetime.now(UTC)))


def _config(settings: "Settings", tls: "PanelTls | None", *, supervise: bool) -> "uvicorn.Config":
    import uvicorn

    from guardpanel.app import create_app
    from guardpanel.listen_addresses import host_and_port

    host, port = host_and_port(settings.listen)
    return uvicorn.Config(
        create_app(settings, supervise=supervise, tls=tls),
        host=host,
        port=port,
        log_level=settings.log_level,
        access_log=False,
        timeout_graceful_shutdown=3,
        server_header=False,
        proxy_headers=True,
        ssl_context_factory=(lambda *_: tls.listening()) if tls else None,
    )


async def _announcement(settings: "Settings", tls: "PanelTls | None", *, supervise: bool) -> str:
    """The URLs, a new certificate's fingerprint, and the one-time setup link while there is no account."""
    from guardpanel.listen_addresses import host_and_port
    from guardpanel.services.accounts.accounts import Accounts

    database = database_of(settings)
    try:
        await database.migrate()
        token = await Accounts(database).setup_token()
    finally:
        await database.close()
    panel = _url(*host_and_port(settings.listen), scheme="https" if tls else "http")
    lines = [f"Panel     {panel}"]
    if tls and tls.own.is_new:
        lines.append(f"          New self-signed certificate, SHA-256 {tls.own.fingerprint}")
    if supervise:
        lines.append(f"HAProxy   {', '.join(_url(host, port) for host, port in settings.http_binds)}")
    lines.append(f"Sockets   {settings.run_dir}")
    if token:
        lines.append(f"\nCreate the first account (the link works once):\n\n    {panel}/setup/{token}\n")
    return "\n".join(lines)


def _url(host: str, port: int, scheme: str = "http") -> str:
    """A URL that works on this machine: for a wildcard address, the loopback address."""
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 read, not bound
    return f"{scheme}://[{here}]:{port}" if ":" in here else f"{scheme}://{here}:{port}"
