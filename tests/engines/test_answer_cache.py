"""One answer for many pages: never from before a change where that would mislead, never waited for too long."""

import asyncio

import pytest

from guardpanel.engines.answer_cache import AnswerCache

pytestmark = pytest.mark.anyio


class Engine:
    """Answers with a number that grows, as soon as it is let."""

    def __init__(self) -> None:
        self.questions = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def ask(self) -> int:
        self.questions += 1
        mine = self.questions
        await self.may_answer.wait()
        return mine


async def test_many_ask_once() -> None:
    engine = Engine()
    cache = AnswerCache(engine.ask)
    assert set(await asyncio.gather(*(cache.get(0) for _ in range(50)))) == {1}
    assert await cache.get(0) == 1


async def test_what_is_forgotten_is_never_told_again() -> None:
    engine = Engine()
    cache = AnswerCache(engine.ask)
    assert await cache.get(0) == 1
    cache.forget()
    assert await cache.get(0) == 2


async def test_an_outdated_answer_is_used_until_a_newer_one_arrives() -> None:
    engine = Engine()
    cache = AnswerCache(engine.ask)
    await cache.get(0)
    cache.outdate()
    engine.may_answer.clear()
    assert await cache.get(0) == 1
    engine.may_answer.set()
    assert await cache.get(60) == 2


async def test_what_is_too_old_to_be_worth_telling_is_waited_for() -> None:
    engine = Engine()
    cache = AnswerCache(engine.ask)
    await cache.get(0)
    cache.outdate()
    assert await cache.get(0, oldest=0) == 2


async def test_an_answer_that_was_under_way_when_things_changed_is_not_kept() -> None:
    engine = Engine()
    cache = AnswerCache(engine.ask)
    engine.may_answer.clear()
    early = asyncio.create_task(cache.get(0))
    while not engine.questions:
        await asyncio.sleep(0)
    cache.forget()
    engine.may_answer.set()
    assert await early == 1
    assert await cache.get(0) == 2


async def test_a_canceled_caller_does_not_cancel_the_query() -> None:
    engine = Engine()
    cache = AnswerCache(engine.ask)
    engine.may_answer.clear()
    leaving, staying = asyncio.create_task(cache.get(0)), asyncio.create_task(cache.get(0))
    while not engine.questions:
        await asyncio.sleep(0)
    leaving.cancel()
    engine.may_answer.set()
    assert await staying == 1
