"""Maps of a worker that are replaced as a whole, at one moment: no request sees half of a transaction (Management Guide §9.3)."""

from guardpanel.engines.haproxy.map_commands import Line
from guardpanel.engines.haproxy.master_cli import MasterCli
from guardpanel.engines.runtime.swapping import NotSwapped


async def replace(cli: MasterCli, file: str, content: bytes, pid: int = 0) -> None:
    """Of the newest worker, or of this process, and read back. Raises NotSwapped and EngineUnavailable."""
    lines = lines_of(content)
    state = (await cli.map_states(pid)).get(file)
    if state is None:
        raise NotSwapped(f"HAProxy has no map {file}.")
    version = await cli.prepare_map(state.number, pid)
    await cli.fill_map(state.number, version, lines, pid)
    both = (await cli.map_states(pid)).get(file, state).entries
    if both != state.entries + len(lines):  # It ends a payload at a line that it does not understand.
        raise NotSwapped(f"HAProxy counts {both:,} entries of {file}, not {state.entries + len(lines):,}.")
    await cli.commit_map(state.number, version, pid)
    if sorted(entries(await cli.map_entries(state.number, pid))) != sorted(" ".join(line) for line in lines):
        raise NotSwapped(f"HAProxy does not have {file} as it is in the file.")


def lines_of(content: bytes) -> list[Line]:
    lines = (line.partition(" ") for line in content.decode().splitlines())
    return [(key, value) for key, _, value in lines]


def entries(listed: str) -> list[str]:
    """Of what `show map` answers."""
    return [line.partition(" ")[2].rstrip() for line in listed.split("\n") if line.startswith("0x")]
