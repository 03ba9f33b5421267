"""The running agent's rule set, or the last one known while the agent is away."""

import asyncio
from dataclasses import dataclass

from guardpanel.engines import Engines, RuleSet
from guardpanel.errors import EngineUnavailable


@dataclass(frozen=True)
class Catalogue:
    rule_set: RuleSet | None
    "None: nothing is known."
    problem: str = ""
    "Why it is not what runs now, as a sentence."


async def load(engines: Engines) -> Catalogue:
    """Raises nothing."""
    try:
        return Catalogue(await engines.agent.rule_set())
    except EngineUnavailable as error:
        return Catalogue(engines.agent.known_rules, error.message)


async def recall(engines: Engines) -> RuleSet | None:
    """The rule set as it was known last, without waiting for the agent; asked for beside it, for the next time. It is waited for
    only while none is known."""
    if engines.agent.known_rules is None:
        return (await load(engines)).rule_set
    if not _asking:
        task = asyncio.create_task(load(engines))
        _asking.add(task)
        task.add_done_callback(_asking.discard)
    return engines.agent.known_rules


_asking: set[asyncio.Task[Catalogue]] = set()


async def require(engines: Engines) -> RuleSet:
    """The same for programs. Raises EngineUnavailable where no rule set is known."""
    catalogue = await load(engines)
    if catalogue.rule_set is None:
        raise EngineUnavailable(catalogue.problem)
    return catalogue.rule_set
