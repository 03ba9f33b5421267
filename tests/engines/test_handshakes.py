"""A listener that is slow is told from one that is not there: a save waits for the first, and not for the second."""

import socket

import pytest

from guardpanel.engines.tls.handshakes import leaf
from guardpanel.errors import EngineSilent, EngineUnavailable
from tests.ports import free_port

pytestmark = pytest.mark.anyio


async def test_a_handshake_without_an_answer_is_silence() -> None:
    """As of a HAProxy that gets no processor: it accepts, and answers later."""
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(EngineSilent, match="no response in time"):
        await leaf(listener.getsockname(), "shop.test")


async def test_a_listener_that_is_not_there_is_no_silence() -> None:
    with pytest.raises(EngineUnavailable, match="Connection refused") as refused:
        await leaf(("127.0.0.1", free_port()), "shop.test")
    assert not isinstance(refused.value, EngineSilent)
