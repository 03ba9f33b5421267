"""An existing haproxy.cfg as a site file: what becomes of each line, and what applying it would change."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from guardpanel.cli import site_file
from guardpanel.cli.output import may_be_unread

if TYPE_CHECKING:
    from guardpanel.services.importing.importing import Imported

app = typer.Typer()

Pairs = list[str]

WORDS = {"became": "+", "note": "~", "left": "-"}
"What marks a line: imported, kept as a note, not taken."

MARKS = "+ imported   ~ kept as a note   - not taken"


@app.command("import", cls=site_file.Planning)
def import_(
    file: Annotated[str, typer.Argument(help="A haproxy.cfg, or - for standard input.")],
    maps: Annotated[
        Pairs, typer.Option("--map", metavar="NAME=FILE", help="A map or list that the configuration names.")
    ] = [],  # noqa: B006 typer copies it
    variables: Annotated[
        Pairs, typer.Option("--env", metavar="NAME=VALUE", help="An environment variable that HAProxy has.")
    ] = [],  # noqa: B006
    hostnames: Annotated[
        Pairs, typer.Option("--hostname", metavar="FRONTEND=NAME", help="For a frontend that serves any hostname.")
    ] = [],  # noqa: B006
    output: Annotated[
        str, typer.Option("--output", metavar="FILE", help="Write the site file, and plan nothing.")
    ] = "",
    apply: Annotated[bool, typer.Option("--apply", help="Make it live.")] = False,
    save_anyway: site_file.Anyway = False,
    email: site_file.As = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print outcomes and site file as JSON.")] = False,
) -> None:
    """Read an existing haproxy.cfg, and show what applying it would change. Exits like plan."""
    imported = _imported(file, maps, variables, hostnames)
    with may_be_unread():
        _print(imported, as_json=as_json)
    if output:
        _write(output, imported.site)
    if (output and not apply) or not imported.site:
        raise typer.Exit(site_file.NOTHING)
    sent = site_file.Sent(imported.site.encode(), f"{Path(file).name if file != '-' else 'haproxy.cfg'}")
    if apply:
        site_file.apply_content(sent, save_anyway=save_anyway, email=email, quiet=as_json)
    else:
        raise typer.Exit(site_file.plan_content(sent, save_anyway=save_anyway, email=email, quiet=as_json))


def _imported(file: str, maps: Pairs, variables: Pairs, hostnames: Pairs) -> "Imported":
    from guardpanel.errors import Invalid
    from guardpanel.services.importing.importing import Beside, import_configuration

    files = {name: _text(path) for name, path in _pairs(maps).items()}
    try:
        return import_configuration(site_file.read_file(file), Beside(files, _pairs(variables), _pairs(hostnames)))
    except Invalid as problem:
        messages = [error.message for error in problem.errors.values()] or [problem.message]
        typer.echo(f"{file}: {' '.join(messages)}", err=True)
        raise typer.Exit(site_file.REFUSED) from problem


def _text(path: str) -> str:
    return site_file.read_file(path).decode("utf-8", "replace")


def _pairs(options: Pairs) -> dict[str, str]:
    pairs = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not name or not equals:
            typer.echo(f"{option}: write it as NAME=VALUE.", err=True)
            raise typer.Exit(site_file.REFUSED)
        pairs[name] = value
    return pairs


def _print(imported: "Imported", *, as_json: bool) -> None:
    if as_json:
        import json
        from dataclasses import asdict

        lines = [asdict(outcome) for outcome in imported.outcomes]
        document = {"message": imported.sentence, "lines": lines, "site": imported.site}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    for outcome in imported.outcomes:
        typer.echo(f"{WORDS[outcome.kind]} {outcome.line}: {outcome.text}\n      {outcome.what}")
    typer.echo(f"{MARKS}\n{imported.sentence}")


def _write(output: str, site: str) -> None:
    try:
        Path(output).write_text(site, "utf-8")
    except OSError as error:
        typer.echo(f"{output}: {error.strerror}.", err=True)
        raise typer.Exit(site_file.REFUSED) from error
