"""Which functions are coroutine functions, and how an item begins in one thread and ends in another."""

import asyncio
import functools
import inspect
import sys
from unittest.mock import AsyncMock

import pytest

from allcores.tasks.coroutines import Begun, Chain, awaited_stage, is_coroutine_function, probing
from allcores.tasks.task import FILTER, FLAT_MAP, MAP, STARMAP, Task


async def fetch(x):
    await asyncio.sleep(0)
    return 2 * x


async def several(x):
    for y in range(x):
        yield y


class Client:
    async def get(self, x):
        return x

    async def __call__(self, x):
        return x

    @classmethod
    async def make(cls, x):
        return x

    @staticmethod
    async def static(x):
        return x


ASYNC = [
    fetch,
    Client(),
    Client().get,
    Client.make,
    Client.static,
    functools.partial(fetch, x=1),
    functools.partial(functools.partial(Client().get), 1),
    functools.partial(Client()),
    AsyncMock(),
]
PLAIN = [len, print, int, Client, lambda x: fetch(x), functools.partial(len), "".join, several, abs.__call__]


@pytest.mark.parametrize("function", ASYNC, ids=range(len(ASYNC)))
def test_coroutine_functions_are_found_in_whatever_they_are_wrapped(function):
    assert is_coroutine_function(function)


@pytest.mark.parametrize("function", PLAIN, ids=range(len(PLAIN)))
def test_nothing_else_is_taken_for_a_coroutine_function(function):
    assert not is_coroutine_function(function)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="inspect.markcoroutinefunction is new in 3.12")
def test_a_marked_function_is_a_coroutine_function():
    assert is_coroutine_function(inspect.markcoroutinefunction(lambda x: fetch(x)))


def test_the_first_stage_that_is_awaited_is_named():
    assert awaited_stage(Task(((MAP, len), (MAP, functools.partial(fetch)), (FILTER, Client())))) == "fetch"
    assert awaited_stage(Task(((MAP, len), (FILTER, Client())))) == "Client"
    assert awaited_stage(Task(((FLAT_MAP, several),))) == "several"
    assert awaited_stage(Task(((MAP, several), (MAP, len)))) is None


def attempted(stages, item):
    return asyncio.run(Chain(Task(stages)).attempt(item))


async def is_small(x):
    return x < 5


async def up_to(x):
    return range(x)


async def add(x, y):
    return x + y


def test_stages_of_both_kinds_mix():
    assert attempted(((MAP, fetch), (MAP, str), (MAP, lambda text: fetch(text))), 3) == (True, "66")
    assert attempted(((FLAT_MAP, up_to), (MAP, fetch), (FILTER, is_small), (MAP, str)), 4) == (
        True,
        ["0", "2", "4"],
    )
    assert attempted(((FLAT_MAP, several), (FILTER, bool)), 3) == (True, [1, 2])
    assert attempted(((STARMAP, add), (MAP, fetch)), (1, 2)) == (True, 6)


@pytest.mark.parametrize("error", [ValueError, StopIteration, SystemExit, asyncio.CancelledError])
def test_what_a_plain_stage_raises_is_the_items_error(error):
    def fail(x):
        raise error(x)

    done, raised = attempted(((MAP, fetch), (MAP, fail)), 1)
    assert (done, type(raised), raised.args) == (False, error, (2,))


def test_an_item_that_need_not_be_awaited_ends_where_it_begins():
    run = probing(Task(((MAP, abs), (MAP, str)))).run
    assert run(-3) == "3"
    with pytest.raises(TypeError):
        run("text")


def test_an_item_that_must_be_awaited_goes_on_in_a_loop_and_its_function_is_called_once():
    calls = []

    def wrapper(x):
        calls.append(x)
        return fetch(x)

    with pytest.raises(Begun) as caught:
        probing(Task(((MAP, wrapper), (MAP, str), (MAP, lambda text: fetch(text))))).run(4)

    async def go_on():
        return await caught.value.resume(Chain(Task(())))

    assert asyncio.run(go_on()) == (True, "88")
    assert calls == [4]


def test_a_second_attempt_at_such_an_item_is_a_new_one():
    calls = []

    def wrapper(x):
        calls.append(x)
        return fetch(x)

    task = Task(((MAP, wrapper),))
    with pytest.raises(Begun) as caught:
        probing(task).run(4)

    async def twice():
        return [await caught.value.resume(Chain(task)) for _ in range(2)]

    assert asyncio.run(twice()) == [(True, 8), (True, 8)]
    assert calls == [4, 4]


def test_an_item_that_nobody_goes_on_with_leaves_nothing_unawaited():
    with pytest.raises(Begun) as caught:
        probing(Task(((MAP, lambda x: fetch(x)),))).run(4)
    caught.value.drop()
    caught.value.drop()
