"""The `guardpanel` command. Commands import what they need when they run, so that `--help` does not load the web framework."""

import typer

from guardpanel.cli import accounts, backups, documents, importing, inspecting, scripting, serving, site_file
from guardpanel.cli.output import Commands

main = typer.Typer(
    name="guardpanel",
    cls=Commands,
    help="The control panel for HAProxy + Coraza.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
for commands in (serving, inspecting, site_file, importing, scripting, accounts, backups, documents):
    main.add_typer(commands.app)
