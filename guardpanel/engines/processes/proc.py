"""Processes and their sockets, as the kernel reports them (unix(7), proc(5))."""

import re
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

LISTENING, UNCONNECTED = "0A", "07"
"States of sockets (include/net/tcp_states.h). UDP has no other for one that takes datagrams from all senders."
ACCEPTS = "00010000"
"The flag of a listening unix socket (SO_ACCEPTCON, net/unix/af_unix.c)."

UNIX_TABLE = Path("/proc/net/unix")
TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
UDP_TABLES = (Path("/proc/net/udp"), Path("/proc/net/udp6"))


def listener_of(path: Path) -> int | None:
    """The process that accepts on a unix socket (SO_PEERCRED, unix(7)). None if there is none."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            client.connect(str(path))
            credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    except OSError:
        return None
    pid: int = struct.unpack("3i", credentials)[0]
    return pid


def is_process(pid: int) -> bool:
    """Whether it runs. A zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def children_of(pid: int) -> set[int]:
    """Its children in the kernel's list (proc(5), /proc/pid/task/tid/children)."""
    with suppress(OSError, ValueError):
        return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    return set()


def processes_at(socket_path: Path) -> set[int]:
    """The process that accepts on a unix socket, and its youngest child: HAProxy's master and its newest worker."""
    pid = listener_of(socket_path)
    if not pid:
        return set()
    return {pid, *sorted(children_of(pid), key=_started)[-1:]}


def _started(pid: int) -> int:
    """Clock ticks since boot. 0 if it is gone."""
    with suppress(OSError, IndexError, ValueError):
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19])
    return 0


def has_lost(path: Path, pid: int) -> bool:
    """Whether HAProxy's master `pid` listens on a socket whose `path` now belongs to another process or none. HAProxy binds
    `path.pid.tmp` and renames it: /proc/net/unix keeps the first name. A master that hangs in a reload has no such socket."""
    if listener_of(path) is not None:
        return False
    name = f"{path}.{pid}.tmp"
    lines = (line.split() for line in UNIX_TABLE.read_text().split("\n"))
    inodes = {fields[6] for fields in lines if len(fields) == 8 and fields[7] == name and fields[3] == ACCEPTS}
    return bool(inodes) and pid in owners(inodes)


def listening(host: str, port: int) -> set[str]:
    """The inodes of the sockets that listen on exactly this TCP address: HAProxy shares its ports silently."""
    return _inodes(TABLES, host, port, LISTENING)


def receiving(host: str, port: int) -> set[str]:
    """The same for UDP."""
    return _inodes(UDP_TABLES, host, port, UNCONNECTED)


def _inodes(tables: Iterable[Path], host: str, port: int, state: str) -> set[str]:
    address = f"{_in_kernel_words(host)}:{port:04X}"
    inodes = set()
    for table in tables:
        with suppress(OSError):
            for line in table.read_text().split("\n")[1:]:
                fields = line.split()
                if len(fields) > 9 and fields[1] == address and fields[3] == state:
                    inodes.add(fields[9])
    return inodes


def owners(inodes: Iterable[str]) -> dict[int, set[str]]:
    """Processes by their open sockets, as far as we may look."""
    inode_of = {f"socket:[{inode}]": inode for inode in inodes}
    owners: dict[int, set[str]] = {}
    for folder in Path("/proc").glob("[0-9]*/fd"):
        with suppress(OSError):
            for entry in folder.iterdir():
                with suppress(OSError):
                    if inode := inode_of.get(str(entry.readlink())):
                        owners.setdefault(int(folder.parent.name), set()).add(inode)
    return owners


def command(pid: int) -> str:
    """The process's name. Empty if it is gone."""
    with suppress(OSError):
        return re.sub(r"[^\w.+-]", "?", Path(f"/proc/{pid}/comm").read_text().strip())
    return ""


def _in_kernel_words(host: str) -> str:
    """An address as the kernel prints it: 32-bit words in host byte order."""
    packed = ip_address(host).packed
    words = [packed[at : at + 4] for at in range(0, len(packed), 4)]
    return "".join(f"{int.from_bytes(word, 'little'):08X}" for word in words)
