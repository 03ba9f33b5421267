"""Why a connection failed, in words: Python's own name sockets and classes."""

import errno
import http.client
import os
import socket
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING

from guardpanel.later import Later

if TYPE_CHECKING:
    import urllib3.exceptions
else:
    urllib3 = Later("urllib3")


MOST_CAUSES = 10
"Of an exception that are looked at."

BY_NUMBER = {
    errno.ENETUNREACH: "there is no route to it",
    errno.EHOSTUNREACH: "there is no route to it",
    errno.ENOENT: "there is no such file",
    errno.EACCES: "permission was denied",
    errno.ENOEXEC: "it is not a program",
}


def reason(error: BaseException) -> str:
    """Without a full stop, to follow a colon. `it` is what the connection leads to."""
    words = (_words(cause) for cause in reversed(list(_causes(error))))
    return next(filter(None, words), "the connection failed")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception, and what led to it. urllib3 has that as `reason`, and requests as an argument."""
    current: BaseException | None = error
    for _ in range(MOST_CAUSES):
        if current is None:
            return
        yield current
        inside = [*current.args, getattr(current, "reason", None)]
        wrapped = next((part for part in inside if isinstance(part, BaseException)), None)
        current = wrapped or current.__cause__ or current.__context__


def _words(error: BaseException) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted ({error.verify_message})"
        case ssl.SSLError():
            return "it does not speak TLS as expected"
        case socket.gaierror() | UnicodeError():
            return "its name does not resolve"
        case ConnectionRefusedError():
            return "the connection was refused"
        case TimeoutError() | urllib3.exceptions.TimeoutError():
            return "it did not answer in time"
        case http.client.RemoteDisconnected() | ConnectionResetError() | BrokenPipeError() | EOFError():
            return "it closed the connection without an answer"
        case http.client.HTTPException():
            return "it does not answer in HTTP"
        case OSError(errno=int(number)):
            return BY_NUMBER.get(number, os.strerror(number).lower())
    return ""
