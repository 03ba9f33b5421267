"""Commands that print what is generated from the code."""

import typer

from guardpanel.cli.running import settings_or_say

app = typer.Typer()


@app.command()
def openapi() -> None:
    """Print the OpenAPI document of /api/v1."""
    import json

    from guardpanel.app import create_app

    typer.echo(json.dumps(create_app(settings_or_say()).openapi(), indent=2, sort_keys=True, ensure_ascii=False))


@app.command()
def configuration() -> None:
    """Print docs/configuration.md."""
    from guardpanel.cli.variables import described

    typer.echo(described(), nl=False)


@app.command()
def commands() -> None:
    """Print docs/cli.md."""
    from guardpanel.cli.command_docs import described

    typer.echo(described(), nl=False)


@app.command()
def version() -> None:
    """Print the version."""
    from guardpanel import __version__

    typer.echo(__version__)
