"""Standard output that takes no more: of a full disk, or of a reader that has ended."""

import contextlib
import io
import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup


class Unwritable(Exception):
    """No OSError: what reads and writes files must not take it for theirs."""


class Output(io.FileIO):
    """Once it takes no more, what follows is dropped, at exit too."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            if isinstance(error, BrokenPipeError):  # typer ends with 1, silently.
                raise
            raise Unwritable(error.strerror) from error


class Commands(TyperGroup):
    """Ends with a sentence if the output can't be written."""

    def main(self, *args: Any, **more: Any) -> Any:
        if (own := sys.__stdout__) is not None and sys.stdout is own:
            binary = io.BufferedWriter(Output(own.fileno(), "wb", closefd=False))
            sys.stdout = io.TextIOWrapper(
                binary, own.encoding, own.errors, line_buffering=own.line_buffering, write_through=own.write_through
            )
        try:
            return self._run(*args, **more)
        except Unwritable as error:
            typer.echo(f"guardpanel: Cannot write the output: {error}.", err=True)
            raise SystemExit(1) from error

    def _run(self, *args: Any, **more: Any) -> Any:
        """What is still held back may be what cannot be written: at exit, nobody would be told."""
        try:
            return super().main(*args, **more)
        finally:
            if sys.stdout is not None:
                with may_be_unread():
                    sys.stdout.flush()


def may_be_unread() -> contextlib.suppress:
    """`guardpanel plan … | head -1` ends as without `head`: typer would end it with 1, and leave out what follows."""
    return contextlib.suppress(BrokenPipeError)
