"""The engines' answers, for pages that must not wait for them and for saves that must."""

import asyncio
from collections.abc import Collection

from guardpanel.engines.answer_cache import AnswerCache
from guardpanel.engines.haproxy.master_cli import MasterCli
from guardpanel.engines.haproxy.reloading import patience_with
from guardpanel.engines.haproxy.server_states import Servers, ServerStatus
from guardpanel.engines.haproxy.status import LONGEST, haproxy_status, servers
from guardpanel.engines.protocol import SERVERS_PATIENCE_SECONDS, EnginesStatus
from guardpanel.engines.releases import Releases
from guardpanel.engines.waf.agent import Agent
from guardpanel.errors import EngineUnavailable

PAGE_PATIENCE_SECONDS = 0.1
"Seconds that a page waits for a newer answer: an engine that hangs must not block the panel."

DEPLOYING_PATIENCE_SECONDS = 0.01
"The same during a deployment: HAProxy's master does not respond while it loads a configuration, 0.2 s for thousands of hosts."

OLDEST_SERVERS = 5.0
"Seconds after which an answer is too old to show: then a page waits."

SAVE_PATIENCE_SECONDS = 5.0
"Seconds that a save waits for engines that do not respond: they may be restarting."


class Answers:
    def __init__(self, cli: MasterCli, agent: Agent, releases: Releases) -> None:
        self.cli, self.agent, self.releases = cli, agent, releases
        self._status = AnswerCache(self._ask_status)
        self._servers = AnswerCache(lambda: servers(self.cli))

    def outdate(self) -> None:
        """Something else runs now."""
        self._status.forget()
        self._servers.outdate()

    def forget(self) -> None:
        """Have the next page wait for the current state."""
        self._status.forget()
        self._servers.forget()

    async def must_answer(self, patience: float) -> None:
        """Raises EngineUnavailable unless both engines respond: a save that could not be verified should not begin."""
        if self.releases.current_number() is None:
            return  # The engines wait for the first release.
        await asyncio.gather(self._haproxy_answers(patience), self._agent_answers(patience))

    async def _agent_answers(self, patience: float) -> None:
        if not self.agent.configuration.exists():
            return  # The agent waits for that file.
        status = await self.agent.wait(patience)
        if not status.running:
            raise EngineUnavailable(f"The WAF agent is not responding. {status.problem}")

    async def _haproxy_answers(self, patience: float) -> None:
        """The master may respond for a worker that hangs or has not loaded its configuration yet."""
        waiting = patience_with(self.cli, patience)
        while True:
            try:
                if "pid" in await self.cli.info():
                    return
                words = "HAProxy’s worker is not responding."
            except EngineUnavailable as error:
                words = error.message
            if waiting.is_over:
                raise EngineUnavailable(words)
            await asyncio.sleep(0.05)

    async def status(self, *, deploying: bool) -> EnginesStatus:
        """The status of both engines, as fresh as possible without waiting long. Raises nothing."""
        return await self._status.get(DEPLOYING_PATIENCE_SECONDS if deploying else PAGE_PATIENCE_SECONDS)

    async def servers(self, needed: Collection[str] = (), patience: float = SERVERS_PATIENCE_SECONDS) -> Servers:
        """The states of all servers by backend (`be_17`), as HAProxy's newest worker reported them. If a needed backend is
        missing from the cached answer, waits for a new one."""
        known = await self._servers.get(patience, OLDEST_SERVERS)
        if all(name in known for name in needed):
            return known
        return await self._servers.get(LONGEST)

    async def servers_of(self, backend: str) -> tuple[ServerStatus, ...]:
        """The current states of one backend's servers."""
        return (await servers(self.cli, backend)).of(backend)

    async def _ask_status(self) -> EnginesStatus:
        return EnginesStatus(*await asyncio.gather(haproxy_status(self.cli), self.agent.status()))
