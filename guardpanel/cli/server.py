"""The HTTP server of the panel."""

import socket
from typing import cast

import uvicorn
from fastapi import FastAPI


class Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Streams end first: it waits until no response is in progress."""
        cast("FastAPI", self.config.app).state.panel.streams.end()
        await super().shutdown(sockets)
