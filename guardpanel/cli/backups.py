"""Backups can be written while the panel runs, and restored while it does not."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from guardpanel.cli.running import line_from_stdin, run_or_say, settings_or_say

if TYPE_CHECKING:
    from guardpanel.settings import Settings

app = typer.Typer()

PassphraseStdin = Annotated[
    bool, typer.Option("--passphrase-stdin", help="Read the backup passphrase from standard input.")
]


@app.command()
def backup(
    file: Annotated[str, typer.Argument(help="Output file, or - for standard output.")],
    passphrase_stdin: PassphraseStdin = False,
) -> None:
    """Back up configuration, history, and accounts to one file."""
    from guardpanel.errors import Problem
    from guardpanel.services.backups import sealing
    from guardpanel.services.backups.backups import Backups

    async def write(settings: "Settings") -> str:
        words = sealing.passphrase(line_from_stdin() if passphrase_stdin else "")
        backups = Backups(settings)
        if file == "-" and sys.stdout is None:
            raise Problem("Standard output is closed. Nothing was backed up.")
        writing = backups.write(sys.stdout.buffer, words) if file == "-" else backups.write_file(Path(file), words)
        try:
            manifest = await writing
            if file == "-":
                sys.stdout.buffer.flush()  # It is no backup before that.
        except BrokenPipeError as error:
            raise Problem("The backup is incomplete: the program that reads it has ended.") from error
        what = f"revision {manifest.revision}" if manifest.revision else "no revision yet"
        return f"{'Encrypted backup' if words else 'Backup'} of {what}, guardpanel {manifest.guardpanel}: {file}"

    typer.echo(run_or_say(write(settings_or_say())), err=True)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    passphrase_stdin: PassphraseStdin = False,
) -> None:
    """Restore a backup. Stop the panel first, or use System › Backup."""
    from guardpanel.errors import Busy
    from guardpanel.lock import only_panel
    from guardpanel.services.backups import restores

    settings = settings_or_say()

    async def put_back() -> str:
        from guardpanel.panel import Panel

        words = line_from_stdin() if passphrase_stdin else ""
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
            typer.echo(run_or_say(put_back()))
    except Busy as busy:
        typer.echo(f"{busy.message} Use System › Backup, or stop the panel first.", err=True)
        raise typer.Exit(1) from busy
