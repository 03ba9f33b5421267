"""Commands that only read."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from guardpanel.cli.running import must_exist, run, run_or_say, settings_or_say

if TYPE_CHECKING:
    from guardpanel.bundle import Bundle
    from guardpanel.panel import Panel

app = typer.Typer()


@app.command()
def engines() -> None:
    """Show which HAProxy and WAF agent are in use."""
    from guardpanel.engines import preflight

    settings = settings_or_say()
    _say_all(run(preflight.engines_found(settings)))


@app.command()
def doctor() -> None:
    """Check for problems that would keep guardpanel from running."""
    from guardpanel.cli.variables import unknown_variables
    from guardpanel.engines import preflight
    from guardpanel.services.issuing.proofs import setup_problems

    settings = settings_or_say()
    for name in unknown_variables():
        typer.echo(f"warning  {name} is not a known setting. Check the spelling.")
    _say_all(
        [
            *run(preflight.engines_found(settings)),
            *run(preflight.panel_tls(settings)),
            *preflight.machine(settings),
            *((False, words) for words in setup_problems(settings)),
        ]
    )


@app.command()
def health() -> None:
    """Check whether the panel responds at GUARDPANEL_LISTEN, by HTTP or HTTPS. For health checks of containers."""
    from guardpanel.engines.http import ask
    from guardpanel.engines.proxy_lines import local
    from guardpanel.listen_addresses import host_and_port

    settings = settings_or_say()
    host, port = host_and_port(settings.listen)
    tls_name = "" if settings.serves_tls else None
    asking = ask((local(host), port), "GET", "/healthz", headers={"host": settings.listen}, tls_name=tls_name)
    answer = run_or_say(asking)
    if answer.status != 200:
        typer.echo(f"{settings.listen} responds with status {answer.status}.", err=True)
        raise typer.Exit(1)


@app.command()
def check() -> None:
    """Check the configuration with both engines, without deploying it."""

    async def ask() -> str:
        from tempfile import TemporaryDirectory

        from guardpanel.engines.releases import Releases

        bundle, panel = await _rendered()
        try:
            with TemporaryDirectory(prefix="guardpanel-") as folder:
                release = Releases(Path(folder)).stage(1, bundle)
                changed = [app.name for app in bundle.applications]
                await panel.engines.check(release, bundle, changed=changed, names=bundle.named_servers)
        finally:
            await panel.close()
        return f"OK: both engines accept {bundle.checksum[:12]} ({len(bundle.applications)} applications)."

    typer.echo(run_or_say(ask()))


@app.command()
def render(file: Annotated[str, typer.Argument(help="Name of a file. If omitted, lists all files.")] = "") -> None:
    """Print a rendered configuration file."""

    async def ask() -> "Bundle":
        bundle, panel = await _rendered()
        await panel.close()
        return bundle

    files = run_or_say(ask()).files
    if file and file not in files:
        typer.echo(f"No file named {file}. Available: {', '.join(sorted(files))}.", err=True)
        raise typer.Exit(1)
    typer.echo(files[file].decode() if file else "\n".join(sorted(files)))


async def _rendered() -> "tuple[Bundle, Panel]":
    from guardpanel.panel import Panel
    from guardpanel.services.saving import snapshots

    settings = settings_or_say()
    must_exist(settings)
    panel = await Panel.open(settings, supervise=False)
    async with panel.database.read() as session:
        snapshot = await snapshots.take(session)
        facts = await panel.changes.renderer.facts_in(session)
    return await panel.changes.renderer.rendered(snapshot, facts), panel


def _say_all(checks: "list[tuple[bool, str]]") -> None:
    """Print one line each. The exit code tells whether all checks passed."""
    for well, words in checks:
        typer.echo(f"{'ok' if well else 'missing':8} {words}")
    raise typer.Exit(0 if all(well for well, _ in checks) else 1)
