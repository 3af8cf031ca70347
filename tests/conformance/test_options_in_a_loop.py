"""What options mean where coroutines run: in a loop of ours, and in the caller's own (``amap``, ``async for``)."""

import asyncio
import threading

import pytest

import allcores as ac


async def amapped(function, items, **options):
    return await ac.amap(function, items, **options)


async def streamed(function, items, **options):
    return [y async for y in ac.par(items, **options).map(function)]


CALLS = {
    "map": ac.map,
    "amap": lambda *items, **options: asyncio.run(amapped(*items, **options)),
    "async for": lambda *items, **options: asyncio.run(streamed(*items, **options)),
}


@pytest.fixture(params=CALLS, ids=str)
def call(request):
    """Three ways in which coroutine functions are mapped."""
    return CALLS[request.param]


@pytest.fixture(params=["auto", "asyncio"])
def engine(request):
    return request.param


@pytest.fixture(params=["function", "lambda"])
def lifted(request):
    """A coroutine function, or something that turns out to be one when it is called."""
    return (lambda function: function) if request.param == "function" else _hidden


def _hidden(function):
    import functools

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


async def draw(x, rng):
    first = rng.random()
    await asyncio.sleep(0)
    return x, first, rng.random()


def drawn(seed, count):
    rngs = [ac.rng(seed, i) for i in range(count)]
    return [(i, rng.random(), rng.random()) for i, rng in enumerate(rngs)]


def test_with_a_seed_item_i_draws_from_its_own_generator(call, engine, lifted):
    pytest.importorskip("numpy")
    assert call(lifted(draw), range(30), seed=5, engine=engine) == drawn(5, 30)
    assert call(lifted(draw), range(30), seed=5, engine=engine, n_jobs=3) == drawn(5, 30)


def test_a_retry_draws_the_same_numbers(call, engine, lifted):
    pytest.importorskip("numpy")
    tries = []

    async def fail_once(x, rng):
        number = rng.random()
        await asyncio.sleep(0)
        tries.append(x)
        if tries.count(x) == 1:
            raise OSError(x)
        return number

    assert call(lifted(fail_once), range(8), seed=5, engine=engine, retries=1) == [
        ac.rng(5, i).random() for i in range(8)
    ]


def test_setup_gives_its_state_to_every_item(call, engine, lifted):
    async def add(x, state):
        await asyncio.sleep(0)
        return x + state

    calls = []
    assert call(lifted(add), range(20), engine=engine, setup=lambda: calls.append(1) or 10) == list(
        range(10, 30)
    )
    assert len(calls) <= 2  # in the loop, and once in the calling thread if the first item began there


def test_setup_and_plain_functions_run_beside_the_callers_loop():
    threads = set()

    def setup():
        threads.add(threading.get_ident())
        return 10

    def plain(x, state, rng):
        threads.add(threading.get_ident())
        return x + state, rng.random()

    async def add(x, state):
        assert threading.get_ident() == here
        return x + state

    async def main():
        stream = ac.par(range(20), setup=setup, seed=1).map(add).map(plain)
        return [y async for y in stream]

    pytest.importorskip("numpy")
    here = threading.get_ident()
    assert asyncio.run(main()) == [(x + 20, ac.rng(1, x).random()) for x in range(20)]
    assert here not in threads


def test_the_callers_loop_goes_on_while_setup_runs():
    ticked = threading.Event()

    async def main():
        async def tick():
            await asyncio.sleep(0)
            ticked.set()

        async def use(x, state):
            return state

        task = asyncio.create_task(tick())
        assert await ac.amap(use, range(3), setup=lambda: ticked.wait(20)) == [True] * 3
        await task

    asyncio.run(main())


def test_a_setup_that_fails_ends_the_job_and_says_so(call, engine):
    async def use(x, state):
        return state

    with pytest.raises(ac.StartError, match="setup raised ZeroDivisionError") as caught:
        call(use, range(10), engine=engine, setup=lambda: 1 // 0, on_error="return", retries=2)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_cancelling_while_setup_runs_starts_no_item():
    async def main():
        began, go_on = threading.Event(), threading.Event()
        items = []

        def setup():
            began.set()
            go_on.wait(20)

        async def item(x, state):
            items.append(x)

        task = asyncio.create_task(ac.amap(item, range(5), setup=setup))
        await asyncio.to_thread(began.wait, 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        assert items == []

    asyncio.run(main())
