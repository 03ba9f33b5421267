"""The running agent's rule set, or the last known one while the agent is unavailable."""

import asyncio
from dataclasses import dataclass

from guardpanel.engines import Engines, RuleSet
from guardpanel.errors import EngineUnavailable


@dataclass(frozen=True)
class Catalogue:
    rule_set: RuleSet | None
    "None: unknown."
    problem: str = ""
    "Why it may not be current, as a sentence."


async def load(engines: Engines) -> Catalogue:
    """Raises nothing."""
    try:
        return Catalogue(await engines.agent.rule_set())
    except EngineUnavailable as error:
        return Catalogue(engines.agent.known_rules, error.message)


async def recall(engines: Engines) -> RuleSet | None:
    """The last known rule set, without waiting for the agent. It is refreshed in the background for the next call, and only
    awaited while none is known."""
    if engines.agent.known_rules is None:
        return (await load(engines)).rule_set
    if not _asking:
        task = asyncio.create_task(load(engines))
        _asking.add(task)
        task.add_done_callback(_asking.discard)
    return engines.agent.known_rules


def crs_version(engines: Engines) -> str:
    """Of the last known rule set, without waiting for the agent. Empty: none is known."""
    known = engines.agent.known_rules
    return known.crs_version if known else ""


_asking: set[asyncio.Task[Catalogue]] = set()


async def require(engines: Engines) -> RuleSet:
    """The same for programs. Raises EngineUnavailable if no rule set is known."""
    catalogue = await load(engines)
    if catalogue.rule_set is None:
        raise EngineUnavailable(catalogue.problem)
    return catalogue.rule_set
