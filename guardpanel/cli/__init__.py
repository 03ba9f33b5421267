"""The `guardpanel` command. Imports are inside the commands: `--help` must not wait for the web framework."""

import typer

from guardpanel.cli import accounts, backups, documents, looking, serving

main = typer.Typer(
    name="guardpanel", help="The control panel for HAProxy + Coraza.", no_args_is_help=True, rich_markup_mode=None
)
for commands in (serving, looking, accounts, backups, documents):
    main.add_typer(commands.app)
