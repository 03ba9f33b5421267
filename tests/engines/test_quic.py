"""What a QUIC listener is asked without a handshake."""

import asyncio
import socket

import pytest

from guardpanel.engines import quic
from guardpanel.errors import EngineSilent

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("answers", "words"), [(True, None), (False, "does not use QUIC.")])
async def test_only_a_response_to_this_very_question_is_one(answers: bool, words: str | None) -> None:
    """As in RFC 9000 §17.2.1: the versions, for the two connection IDs that were sent, the other way round."""
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        asking = asyncio.create_task(quic.flaw(server.getsockname()))
        asked, client = await asyncio.to_thread(server.recvfrom, 2000)
        theirs, ours = asked[6:14], asked[15:23]
        ids = (ours, theirs) if answers else (theirs, ours)
        server.sendto(b"\x80" + bytes(4) + b"".join(b"\x08" + number for number in ids) + b"\0\0\0\1", client)
        flaw = await asking

    assert len(asked) == 1200
    assert flaw is words if words is None else str(flaw).endswith(words)


async def test_silence_is_not_taken_for_an_answer() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        place = server.getsockname()
        with pytest.raises(EngineSilent, match=f"Nothing responds to QUIC on UDP 127.0.0.1:{place[1]}."):
            await quic.flaw(place)
    assert "Connection refused" in str(await quic.flaw(place))
