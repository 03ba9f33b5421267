"""What of servers HAProxy takes at run time: their weight, whether they are in maintenance, and, where it can, their address. It
stands in haproxy.cfg, for the next start, and in a file of its own (SERVERS), from which the running process is changed and
compared."""

import re

SERVER = re.compile(r"\n(?:backend (be_\S+)|(    server ([sp]\d+)) (\S+) weight (\d+)(.*?)( disabled)?)(?=\n|\Z)")
"""The name of a section, or a server as _backend.cfg.j2 writes it. The endings of lines that something else wrote are different:
`disabled` is the last word. That it begins with a character, and not with `^`, makes it three times as fast."""

ADDRESS = re.compile(r"(?:\d+\.\d+\.\d+\.\d+|\[[0-9a-f:.]+\]):\d+")
"Names are resolved before HAProxy gets an address for them (engines/servers)."


def without(backend: str, *, moves: bool) -> tuple[str, str]:
    """A backend's section without it, and its lines of the file. `moves`: addresses are part of it. Everything else of a server
    needs a reload."""
    lines: list[str] = []
    section = ""

    def kept(match: re.Match[str]) -> str:
        nonlocal section
        backend, server, name, address, weight, options, disabled = match.groups()
        if backend:
            section = backend
            return match[0]
        moved = f" {address}" if moves and ADDRESS.fullmatch(address) else ""
        lines.append(f"{section}/{name} {weight} {'maint' if disabled else 'ready'}{moved}\n")
        return f"\n{server}{'' if moved else f' {address}'}{options}"

    return SERVER.sub(kept, f"\n{backend}")[1:], "".join(lines)
