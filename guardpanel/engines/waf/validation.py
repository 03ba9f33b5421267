"""Whether the agent can compile applications."""

import asyncio
import json
from pathlib import Path
from typing import Any

from guardpanel.engines import http
from guardpanel.engines.processes.proc import listener_of
from guardpanel.engines.processes.process import in_thread, run, scratch
from guardpanel.engines.waf.agent_files import write_yaml
from guardpanel.errors import EngineUnavailable

PATIENCE_SECONDS = 60.0
"Fifty new applications compile in a few seconds."

VALID = ""


async def by_the_running(control: Path, binary: str, document: dict[str, Any]) -> str | None:
    """VALID, or the output that names the problems. It has compiled the rule set before, which takes a new process five times as
    long, and keeps the applications for its reload. None if it is not running, runs another binary, or does not answer."""
    if not await asyncio.to_thread(_is_run, control, binary):
        return None
    body = json.dumps({"applications": document["applications"]}).encode()
    headers = {"host": "agent", "content-type": "application/json"}
    try:
        answer = await http.ask(control, "POST", "/v1/validate", headers=headers, body=body, timeout=PATIENCE_SECONDS)
        return None if answer.status != 200 else VALID if json.loads(answer.body)["valid"] else answer.body.decode()
    except (EngineUnavailable, ValueError, KeyError):
        return None


async def by_a_new(binary: str, document: dict[str, Any]) -> str:
    """The same of a new process."""
    with scratch() as folder:
        path = folder / "coraza.yaml"
        await in_thread(lambda: write_yaml(path, document))
        result = await run([binary, "-config", path, "-validate"], cwd=folder)
    return VALID if result.code == 0 and not result.timed_out else result.output or "no output"


def _is_run(control: Path, binary: str) -> bool:
    """Whether the process that listens runs this binary, and not one that it replaces."""
    pid = listener_of(control)
    try:
        return bool(pid) and Path(f"/proc/{pid}/exe").samefile(binary)
    except OSError:
        return False
