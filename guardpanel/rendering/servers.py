"""What of servers HAProxy takes at run time: their weight, whether they are in maintenance, and, where it can, their address. It
stands in haproxy.cfg, for the next start, and in a file of its own (SERVERS), from which the running process is changed and
compared."""

import re

SERVER = re.compile(r"^(    server ([sp]\d+)) (\S+) weight (\d+)(.*?)( disabled)?$", re.MULTILINE)
"As _backend.cfg.j2 writes it. The endings of lines that something else wrote are different: `disabled` is the last word."

ADDRESS = re.compile(r"(?:\d+\.\d+\.\d+\.\d+|\[[0-9a-f:.]+\]):\d+")
"Names are resolved before HAProxy gets an address for them (engines/servers)."

BACKEND = "\nbackend be_"


def without(configuration: str, *, moves: bool) -> tuple[str, str]:
    """haproxy.cfg without it, and the file. `moves`: addresses are part of it. Everything else of a server needs a reload."""
    head, *backends = configuration.split(BACKEND)
    lines = "".join(_lines(backend, moves=moves) for backend in backends)
    return BACKEND.join((head, *(_fixed(backend, moves=moves) for backend in backends))), lines


def _fixed(backend: str, *, moves: bool) -> str:
    def kept(match: re.Match[str]) -> str:
        address = "" if _moved(match[3], moves=moves) else f" {match[3]}"
        return f"{match[1]}{address}{match[5]}"

    return SERVER.sub(kept, backend)


def _lines(backend: str, *, moves: bool) -> str:
    number = backend.partition("\n")[0]
    return "".join(
        f"be_{number}/{name} {weight} {'maint' if disabled else 'ready'}{_moved(address, moves=moves)}\n"
        for _, name, address, weight, _, disabled in SERVER.findall(backend)
    )


def _moved(address: str, *, moves: bool) -> str:
    """The address as a further word. Empty: not at run time."""
    return f" {address}" if moves and ADDRESS.fullmatch(address) else ""
