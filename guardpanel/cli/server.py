"""The HTTP server of the panel."""

import contextlib
import socket
from typing import cast

import typer
import uvicorn
from fastapi import FastAPI

from guardpanel.cli.output import Unwritable


class Server(uvicorn.Server):
    """`words`: printed once the port answers, since they have links to it."""

    def __init__(self, config: uvicorn.Config, words: str = "") -> None:
        super().__init__(config)
        self.words = words

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.words:
            with contextlib.suppress(OSError, Unwritable):  # A full disk of its log keeps no panel from running.
                typer.echo(self.words)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Streams end first: it waits until no response is in progress."""
        cast("FastAPI", self.config.app).state.panel.streams.end()
        await super().shutdown(sockets)
