"""What of servers HAProxy takes at run time: their weight, and whether they are in maintenance. It stands in haproxy.cfg, for the
next start, and in a file of its own (SERVERS), from which the running process is changed and compared."""

import re

SERVER = re.compile(r"^(    server (s\d+) \S+) weight (\d+)(.*?)( disabled)?$", re.MULTILINE)
"As _backend.cfg.j2 writes it. The endings of lines that something else wrote are different: `disabled` is the last word."

BACKEND = "\nbackend be_"


def without(configuration: str) -> tuple[str, str]:
    """haproxy.cfg without it, and the file. Everything else of a server, its address too, needs a reload."""
    head, *backends = configuration.split(BACKEND)
    lines = "".join(_lines(backend) for backend in backends)
    return BACKEND.join((head, *(SERVER.sub(r"\1\4", backend) for backend in backends))), lines


def _lines(backend: str) -> str:
    number = backend.partition("\n")[0]
    return "".join(
        f"be_{number}/{name} {weight} {'maint' if disabled else 'ready'}\n"
        for _, name, weight, _, disabled in SERVER.findall(backend)
    )
