"""The rule set of the agent that is built, asked of a running one once for all tests."""

import asyncio
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import yaml

from guardpanel.engines import RuleSet
from guardpanel.engines.waf.rule_set import ask_rule_set
from guardpanel.errors import EngineUnavailable
from tests.live.stack import DEADLINE, agent_binary


@cache
def rule_set() -> RuleSet:
    with tempfile.TemporaryDirectory(prefix="gp") as name:
        folder = Path(name)
        document = {
            "bind": f"unix://{folder}/a", "log_level": "error", "log_file": "/dev/stderr", "log_format": "json",
            "applications": [{"name": "small", "directives": "SecRuleEngine On\n"}],
        }  # fmt: skip
        (folder / "y").write_text(yaml.safe_dump(document))
        agent = subprocess.Popen([agent_binary(), "-config", folder / "y", "-control", f"unix:{folder}/c"])
        try:
            with ThreadPoolExecutor(1) as thread:  # tests may be within a loop
                return thread.submit(lambda: asyncio.run(_asked(folder / "c"))).result()
        finally:
            agent.terminate()
            agent.wait(DEADLINE)


async def _asked(control: Path) -> RuleSet:
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                return await ask_rule_set(control, None)
            except EngineUnavailable:
                await asyncio.sleep(0.05)
