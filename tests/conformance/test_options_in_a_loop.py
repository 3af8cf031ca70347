"""What options mean where coroutines run: in a loop of ours, and in the caller's own (``amap``, ``async for``)."""

import asyncio
import threading
import time

import pytest

import allcores as ac


async def amapped(function, *items, **options):
    return await ac.amap(function, *items, **options)


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


class Meeting:
    """Counts how many items are in flight at once; the first ones wait until ``size`` have met."""

    def __init__(self, size=1):
        self.there = self.most = 0
        self.size = size

    async def join(self, x):
        self.there += 1
        self.most = max(self.most, self.there)
        give_up = time.monotonic() + 30
        while self.most < self.size and time.monotonic() < give_up:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.there -= 1
        return x


def test_config_sets_defaults(call):
    meeting = Meeting(size=2)
    with ac.config(n_jobs=2):
        assert call(meeting.join, range(30)) == list(range(30))
    assert meeting.most == 2
    with (
        ac.config(engine="processes"),
        pytest.raises(TypeError, match="leave engine out or write engine='asyncio'"),
    ):
        call(meeting.join, range(3))


def test_a_block_of_config_holds_for_its_own_task():
    async def most(n_jobs):
        meeting = Meeting(size=n_jobs)
        with ac.config(n_jobs=n_jobs):
            await ac.amap(meeting.join, range(30))
        return meeting.most

    async def main():
        assert await asyncio.gather(most(1), most(3), most(2)) == [1, 3, 2]

    asyncio.run(main())


@pytest.mark.parametrize("name", ["map", "amap"])
def test_kwargs_are_given_to_every_item(name, engine, lifted):
    async def add(x, y, *, z, state):
        await asyncio.sleep(0)
        return x + y + z + state

    def setup():
        return 100

    assert CALLS[name](lifted(add), [1, 2], [3, 4], kwargs={"z": 10}, setup=setup, engine=engine) == [
        114,
        116,
    ]
    with pytest.raises(ValueError, match="state is given twice"):
        CALLS[name](lifted(add), [1], [3], kwargs={"z": 1, "state": 1}, setup=setup, engine=engine)


def test_progress_counts_every_item(call, engine, monkeypatch):
    import tqdm.auto

    bars = []

    class Silent:
        def __init__(self, *, total, desc, unit):
            self.total, self.label, self.seen, self.closed = total, desc, 0, 0
            bars.append(self)

        def update(self, count):
            self.seen += count

        def close(self):
            self.closed += 1

    monkeypatch.setattr(tqdm.auto, "tqdm", Silent)
    assert call(Meeting().join, range(30), progress="joined", engine=engine) == list(range(30))
    assert call(Meeting().join, (x for x in range(9)), progress=True, engine=engine) == list(range(9))
    assert [(bar.total, bar.label, bar.seen, bar.closed) for bar in bars] == [
        (30, "joined", 30, 1),
        (None, None, 9, 1),
    ]


@pytest.mark.parametrize("writes", ["warn", "error", "allow"])
def test_coroutines_share_the_callers_memory_so_no_write_is_lost(call, engine, writes):
    seen = []

    async def write(x):
        await asyncio.sleep(0)
        seen.append(x)

    call(write, range(20), writes=writes, engine=engine)
    assert sorted(seen) == list(range(20))


def line_of(function):
    return function.__code__.co_filename, function.__code__.co_firstlineno + 1


async def amap_in_processes(function, **options):
    return await ac.amap(function, range(4), engine="processes", n_jobs=2, **options)


async def iterate_in_processes(function, **options):
    return [y async for y in ac.par(range(4), engine="processes", n_jobs=2, **options).map(function)]


@pytest.mark.parametrize("run", [amap_in_processes, iterate_in_processes])
def test_warnings_of_an_awaited_call_stand_in_the_users_line(run):
    import random

    seen = []

    def write(x):
        seen.append(x)
        return random.random()

    with pytest.warns() as caught:
        asyncio.run(run(write))
    assert {each.category for each in caught} == {ac.LostWriteWarning, ac.RandomStateWarning}
    assert {(each.filename, each.lineno) for each in caught} == {line_of(run)}
    with pytest.raises(ac.LostWriteError, match="'seen'"):
        asyncio.run(run(write, writes="error"))


def test_coroutines_that_draw_from_shared_generators_are_warned_of():
    import random
    import warnings

    async def draw(x):
        await asyncio.sleep(0)
        return random.random()

    with pytest.warns(ac.RandomStateWarning, match="write seed=1") as caught:
        ac.map(draw, range(10))
    assert caught[0].filename == __file__
    with warnings.catch_warnings():  # in the caller's loop others may have drawn: nobody can tell
        warnings.simplefilter("error")
        asyncio.run(amapped(draw, range(10)))
