"""The documentation of all commands, from their own help."""

from collections.abc import Iterator
from typing import Any

import typer

HEAD = """\
# Commands

After `make run`, the command is `.venv/bin/guardpanel` in the checkout. It needs the variables that the panel was started with,
such as `GUARDPANEL_DATA_DIR` ([docs/configuration.md](configuration.md)). `guardpanel COMMAND --help` prints the same as this
page, and `guardpanel --install-completion` sets up completion in the current shell, of commands and of names.

Commands end with 0 if they did what they say, with 2 for a wrong option or setting, and with 1 if something else is in
the way, which they print to standard error. `plan` and `import` have codes of their own
([docs/configuration-file.md](configuration-file.md#plan)).

Those with `--as` are done by the running panel at `GUARDPANEL_LISTEN`. They ask for no password: whoever can write its
database can do anything.

"""


def described() -> str:
    """Render docs/cli.md."""
    from guardpanel.cli import main

    command: Any = typer.main.get_command(main)
    context = command.context_class(command, info_name="guardpanel")
    return HEAD + "\n".join(_sections(command, context)).rstrip() + "\n"


def _sections(command: Any, context: Any) -> Iterator[str]:
    for name in command.list_commands(context):
        own = command.get_command(context, name)
        inner = own.context_class(own, info_name=name, parent=context)
        if hasattr(own, "list_commands"):
            yield from _sections(own, inner)
        else:
            yield from _section(own, inner)


def _section(command: Any, context: Any) -> Iterator[str]:
    yield f"## {context.command_path}\n"
    yield f"{command.help}\n"
    yield f"    {context.command_path} {' '.join(command.collect_usage_pieces(context))}\n"
    records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    rows = [f"| `{name}` | {words} |" for name, words in filter(None, records) if name != "--help"]
    if rows:
        yield "\n".join(["| | |", "|---|---|", *rows, ""])
