"""The HTTP server of the panel."""

import socket
import sys
from typing import cast

import typer
import uvicorn
from fastapi import FastAPI


class Server(uvicorn.Server):
    """`words`: printed once the port answers, since they have links to it."""

    def __init__(self, config: uvicorn.Config, words: str = "") -> None:
        super().__init__(config)
        self.words = words

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.words:
            typer.echo(self.words)
            sys.stdout.flush()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Streams end first: it waits until no response is in progress."""
        cast("FastAPI", self.config.app).state.panel.streams.end()
        await super().shutdown(sockets)
