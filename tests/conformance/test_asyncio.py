"""Coroutine functions, and calls inside a running event loop."""

import asyncio
import contextvars
import functools
import gc
import logging
import threading

import pytest

import allcores as ac
from allcores.engines import event_loop

from . import functions as on

SETTING = contextvars.ContextVar("SETTING", default="unset")


@pytest.fixture(autouse=True)
def nothing_is_left(caplog):
    """No thread of ours, no task that was destroyed, no loop that was not closed."""
    yield
    gc.collect()
    assert on.poll(lambda: not [each for each in threading.enumerate() if each.name.startswith("allcores-")])
    assert [record for record in caplog.records if record.name == "asyncio"] == []
    assert list(event_loop._open) == []


async def double(x):
    await asyncio.sleep(0)
    return 2 * x


async def is_even(x):
    await asyncio.sleep(0)
    return x % 2 == 0


async def up_to(n):
    return range(n)


async def fail_at(bad, x):
    await asyncio.sleep(0)
    if x in bad:
        raise ValueError(f"bad {x}")
    return 2 * x


async def hang(x):
    await asyncio.sleep(1000 if x == 3 else 0)
    return x


class Client:
    async def get(self, x):
        return await double(x)

    async def __call__(self, x):
        return await double(x)


class Meeting:
    """Items that wait until so many of them are there."""

    def __init__(self, count):
        self.there = 0
        self.count = count
        self.most = 0

    async def join(self, x):
        self.there += 1
        self.most = max(self.most, self.there)
        while self.most < self.count:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0)
        self.there -= 1
        return x


class Stay:
    """Items that never end by themselves; says who began and who ended."""

    def __init__(self):
        self.began, self.ended = [], []

    async def stay(self, x):
        self.began.append(x)
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(0)
            self.ended.append(x)


@pytest.fixture(params=["auto", "asyncio"])
def engine(request):
    return request.param


# -- map and streams, outside any loop ----------------------------------------------------------------


@pytest.mark.parametrize(
    "function",
    [double, Client(), Client().get, functools.partial(double), lambda x: double(x)],
    ids=["function", "object", "method", "partial", "lambda"],
)
def test_coroutine_functions_give_what_they_return(engine, function):
    assert ac.map(function, range(50), engine=engine) == [2 * x for x in range(50)]
    assert ac.map(function, iter(range(50)), engine=engine) == [2 * x for x in range(50)]
    assert ac.par(range(50), engine=engine).map(function).sum() == sum(2 * x for x in range(50))
    assert ac.map(function, [], engine=engine) == []


def test_several_iterables_and_constant_arguments(engine):
    async def add(x, y, z=0):
        return x + y + z

    assert ac.map(add, [1, 2], [3, 4], engine=engine, kwargs={"z": 10}) == [14, 16]
    assert ac.starmap(add, [(1, 2)], engine=engine) == [3]


def test_plain_and_coroutine_stages_mix(engine):
    stream = ac.par(range(20), engine=engine).map(on.double).filter(is_even).flat_map(up_to).map(double)
    expected = [2 * y for x in range(20) for y in range(2 * x)]
    assert stream.collect() == list(stream) == expected
    assert stream.count() == len(expected)
    assert ac.par(range(20), engine=engine).filter(lambda x: is_even(x)).map(str).collect() == [
        str(x) for x in range(0, 20, 2)
    ]
    assert ac.par(range(9), engine=engine).any(is_even) is True


def test_a_flat_map_may_be_an_async_generator(engine):
    async def up_to_slowly(n):
        for y in range(n):
            await asyncio.sleep(0)
            yield y

    expected = [y for x in range(10) for y in range(x)]
    assert ac.par(range(10), engine=engine).flat_map(up_to_slowly).collect() == expected
    assert ac.par(range(10), engine=engine).flat_map(lambda x: up_to_slowly(x)).collect() == expected


def test_a_function_whose_first_result_shows_that_it_is_awaited_is_called_once_for_each_item():
    calls = []

    def wrapper(x):
        calls.append(x)
        return double(x)

    assert ac.map(wrapper, range(30)) == [2 * x for x in range(30)]
    assert sorted(calls) == list(range(30))


def test_a_failing_first_item_hides_no_coroutine():
    def wrapper(x):
        if x < 2:
            raise KeyError(x)
        return double(x)

    results = ac.map(wrapper, range(6), on_error="return")
    assert [each.index for each in results[:2]] == [0, 1]
    assert results[2:] == [4, 6, 8, 10]


def test_a_thousand_items_are_in_flight_at_once(engine):
    assert ac.map(Meeting(1000).join, range(1500), engine=engine) == list(range(1500))


def test_n_jobs_caps_the_items_in_flight(engine):
    meeting = Meeting(5)
    assert ac.map(meeting.join, range(40), engine=engine, n_jobs=5) == list(range(40))
    assert meeting.most == 5


def test_items_see_the_callers_context_and_not_each_others(engine):
    async def setting(x):
        before = SETTING.get()
        SETTING.set(x)
        await asyncio.sleep(0)
        return before

    def call():
        SETTING.set("mine")
        return ac.map(setting, range(30), engine=engine, chunksize=1), SETTING.get()

    assert contextvars.copy_context().run(call) == (["mine"] * 30, "mine")


def test_explain_says_that_it_is_awaited():
    for function in (double, lambda x: double(x)):
        plan = ac.explain(function, range(10))
        assert (plan.engine, plan.n_jobs) == ("asyncio", 1000)
        assert "is awaited" in plan.reasons[0]
    assert "double" in str(ac.explain(Client(), range(10), engine="auto")) or "Client" in str(
        ac.explain(Client(), range(10))
    )


@pytest.mark.parametrize("wrong", ["inline", "threads", "processes"])
def test_engines_that_do_not_await_refuse_coroutine_functions(wrong):
    for call in (
        lambda: ac.map(double, [1], engine=wrong),
        lambda: ac.par([1], engine=wrong).map(str).filter(is_even).collect(),
        lambda: ac.explain(double, [1], engine=wrong),
    ):
        with pytest.raises(TypeError, match="engine='asyncio'"):
            call()


def test_items_draw_from_their_own_generators_however_they_interleave(engine):
    async def draw(x, rng):
        first = rng.random()
        await asyncio.sleep(0)
        return first, rng.random()

    def more(pair, rng):
        return *pair, rng.random()

    def generator(x):
        rng = ac.rng(5, x)
        return rng.random(), rng.random(), rng.random()

    stream = ac.par(range(40), seed=5, engine=engine).map(draw).map(more)
    assert stream.collect() == [generator(x) for x in range(40)]
    assert ac.par(range(40), seed=5).map(lambda x, rng: draw(x, rng)).map(more).collect() == stream.collect()


def test_setup_is_called_once_and_its_value_is_given(engine):
    calls = []

    async def add(x, state):
        await asyncio.sleep(0)
        return x + state

    assert ac.map(add, range(20), engine=engine, setup=lambda: calls.append(1) or 10) == [
        x + 10 for x in range(20)
    ]
    assert calls == [1]


def test_what_cannot_be_kept_is_refused(engine):
    with pytest.raises(ValueError, match="seed cannot be kept"):
        ac.map(double, range(3), engine=engine, seed=1)

    async def make():
        return 1

    with pytest.raises(TypeError, match="setup is called and never awaited"):
        ac.map(lambda x, state: x, range(3), engine=engine, setup=make)


def test_a_seed_that_cannot_be_kept_is_refused_as_soon_as_an_item_shows_it():
    with pytest.raises(ValueError, match=r"seed cannot be kept for .*lambda"):
        ac.map(lambda x: double(x), range(3), seed=1)


# -- failures and limits ------------------------------------------------------------------------------


def test_the_earliest_exception_is_raised(engine):
    async def fail_late(x):
        await asyncio.sleep(0.02 if x == 3 else 0)
        raise ValueError(f"bad {x}")

    with pytest.raises(ValueError, match="bad 0"):
        ac.map(fail_late, range(10), engine=engine)
    with pytest.raises(ValueError, match="bad 5") as caught:
        ac.map(functools.partial(fail_at, {5, 8}), range(10), engine=engine)
    assert set(ac.partial(caught.value)) >= set(range(5))
    assert caught.value.__notes__ == ["allcores: item 5"]


@pytest.mark.parametrize("error", [asyncio.CancelledError, SystemExit, KeyError, TimeoutError])
def test_whatever_an_item_raises_is_its_own_error(engine, error):
    async def fail(x):
        await asyncio.sleep(0)
        if x == 3:
            raise error("three")
        return x

    with pytest.raises(error, match="three"):
        ac.map(fail, range(6), engine=engine)
    results = ac.map(fail, range(6), engine=engine, on_error="return")
    assert [results[x] for x in (0, 1, 2, 4, 5)] == [0, 1, 2, 4, 5]
    assert type(results[3].error) is error


def test_an_item_that_cancels_its_own_task_fails_alone(engine):
    async def cancel_yourself(x):
        if x == 3:
            asyncio.current_task().cancel()
        await asyncio.sleep(0)
        return x if not asyncio.current_task().cancelling() else "still cancelled"

    results = ac.map(cancel_yourself, range(8), engine=engine, chunksize=8, on_error="return")
    assert [each for each in results if type(each) is int] == [0, 1, 2, 4, 5, 6, 7]
    assert type(results[3].error) is asyncio.CancelledError


def test_a_timeout_cancels_that_item_alone(engine):
    with pytest.raises(ac.TaskTimeout) as caught:
        ac.map(hang, range(6), engine=engine, timeout=0.1)
    assert caught.value.index == 3
    results = ac.map(hang, range(30), engine=engine, timeout=0.1, on_error="return")
    assert [each for each in results if type(each) is int] == [x for x in range(30) if x != 3]
    assert type(results[3].error) is ac.TaskTimeout


def test_a_timed_out_item_may_clean_up_and_is_tried_again(engine):
    tries, cleaned = [], []

    async def hang_once(x):
        tries.append(x)
        try:
            await asyncio.sleep(1000 if x == 3 and tries.count(3) == 1 else 0)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            cleaned.append(x)
            raise
        return x

    assert ac.map(hang_once, range(8), engine=engine, timeout=0.1, retries=1) == list(range(8))
    assert (tries.count(3), cleaned) == (2, [3])


def test_a_timeout_of_what_never_awaits_is_an_error_that_says_so(engine, monkeypatch):
    monkeypatch.setattr(event_loop, "STUCK_SECONDS", 0.05)
    monkeypatch.setattr(event_loop, "LAST_WORDS_SECONDS", 0.05)
    free = threading.Event()

    async def block(x):
        free.wait(on.PATIENCE_SECONDS)

    try:
        with pytest.raises(ac.StartError, match=r"item 0 .* does not await.*asyncio.to_thread.*plain def"):
            ac.map(block, range(3), engine=engine, timeout=0.05)
    finally:
        free.set()


def test_retries_try_again(engine):
    tries = []

    async def flaky(x):
        tries.append(x)
        if tries.count(x) < 3:
            raise OSError(x)
        return x

    assert ac.map(flaky, range(8), engine=engine, retries=2) == list(range(8))
    tries.clear()
    assert ac.map(lambda x: flaky(x), range(8), retries=2, retry_on=OSError) == list(range(8))


def test_a_deadline_cancels_what_runs_and_keeps_what_has_finished(engine):
    stay = Stay()

    async def finish_or_stay(x):
        return x if x < 5 else await stay.stay(x)

    with pytest.raises(ac.DeadlineExceeded) as caught:
        ac.map(finish_or_stay, range(10), engine=engine, deadline=0.3)
    assert ac.partial(caught.value) == {x: x for x in range(5)}
    assert sorted(stay.ended) == sorted(stay.began)


def test_an_abandoned_stream_cancels_what_runs(engine):
    stay = Stay()

    async def first_or_stay(x):
        if x:
            return await stay.stay(x)
        while not stay.began:
            await asyncio.sleep(0.001)
        return x

    values = iter(ac.par(range(10**9), engine=engine).map(first_or_stay))
    assert next(values) == 0
    values.close()
    assert stay.began
    assert sorted(stay.ended) == sorted(stay.began)


def test_endless_input_is_pulled_within_the_window(engine):
    pulled = []

    def numbers():
        while True:
            pulled.append(len(pulled))
            yield pulled[-1]

    values = iter(ac.par(numbers(), engine=engine, window=16).map(double))
    for taken in range(1, 100):
        assert next(values) == 2 * (taken - 1)
        assert len(pulled) <= taken + 32
    values.close()


# -- inside a running loop ----------------------------------------------------------------------------


def test_map_inside_a_running_loop_gives_the_answer_and_one_hint(engine, caplog):
    event_loop._hint.cache_clear()

    async def main():
        return [ac.map(double, range(5), engine=engine) for _ in range(3)]

    with caplog.at_level(logging.WARNING, "allcores"):
        assert asyncio.run(main()) == [[0, 2, 4, 6, 8]] * 3
    assert [record.name for record in caplog.records] == ["allcores"]
    assert "await allcores.amap" in caplog.text


def test_amap_runs_coroutine_functions_in_the_callers_loop(engine):
    async def where(x):
        await asyncio.sleep(0)
        return x, asyncio.get_running_loop(), threading.get_ident()

    async def main():
        here = asyncio.get_running_loop(), threading.get_ident()
        for function in (where, lambda x: where(x)):
            if engine == "asyncio" or function is where:
                assert await ac.amap(function, range(50), engine=engine) == [(x, *here) for x in range(50)]
        assert await ac.amap(lambda x: where(x), range(50)) == [(x, *here) for x in range(50)]

    asyncio.run(main())


def test_amap_uses_what_belongs_to_the_callers_loop():
    async def main():
        lock, arrived = asyncio.Lock(), asyncio.Queue()

        async def use(x):
            async with lock:
                await arrived.put(x)
                return x

        assert await ac.amap(use, range(30)) == list(range(30))
        assert arrived.qsize() == 30

    asyncio.run(main())


class Ticker:
    """Counts how often the event loop came round."""

    def __init__(self, directory):
        self.directory = directory
        self.ticks = 0

    async def tick(self):
        while True:
            self.ticks += 1
            on.touch(self.directory, self.ticks)
            await asyncio.sleep(0.001)


def wait_for_ticks(directory, x):
    """Ends only if somebody else's event loop goes on meanwhile."""
    import os

    before = len(os.listdir(directory))
    return on.poll(lambda: len(os.listdir(directory)) >= before + 3)


@pytest.mark.parametrize("engine", ["auto", "inline", "threads", "asyncio", "processes"])
def test_the_loop_goes_on_while_plain_functions_run(engine, tmp_path):
    async def main():
        ticker = asyncio.create_task(Ticker(str(tmp_path)).tick())
        function = functools.partial(wait_for_ticks, str(tmp_path))
        assert await ac.amap(function, range(4), engine=engine) == [True] * 4
        ticker.cancel()

    asyncio.run(main())


def test_the_loop_goes_on_while_an_iterator_runs(tmp_path):
    threads = set()

    def items():
        for x in range(4):
            threads.add(threading.get_ident())
            assert wait_for_ticks(str(tmp_path), x)
            yield x

    async def main():
        ticker = asyncio.create_task(Ticker(str(tmp_path)).tick())
        assert await ac.amap(double, items()) == [0, 2, 4, 6]
        assert [y async for y in ac.par(items()).map(double)] == [0, 2, 4, 6]
        ticker.cancel()

    asyncio.run(main())
    assert threading.get_ident() not in threads


def test_plain_stages_never_run_on_the_loops_thread():
    threads = set()

    def plain(x):
        threads.add(threading.get_ident())
        return x

    async def main():
        stream = ac.par(range(20)).map(double).map(plain).filter(plain).flat_map(lambda x: [plain(x)])
        assert [y async for y in stream] == [2 * x for x in range(1, 20)]
        lifted = ac.par(range(20)).map(lambda x: double(plain(x))).map(plain)
        assert [y async for y in lifted] == [2 * x for x in range(20)]

    asyncio.run(main())
    assert threading.get_ident() not in threads


def test_amap_raises_what_map_raises(engine):
    async def main():
        with pytest.raises(ValueError, match="bad 5") as caught:
            await ac.amap(functools.partial(fail_at, {5}), range(10), engine=engine)
        assert set(ac.partial(caught.value)) >= set(range(5))
        with pytest.raises(ValueError, match="bad 5"):
            await ac.amap(functools.partial(on.fail_at, {5}), range(10))
        with pytest.raises(ac.TaskTimeout):
            await ac.amap(hang, range(10), engine=engine, timeout=0.1)
        with pytest.raises(ac.DeadlineExceeded):
            await ac.amap(hang, range(10), engine=engine, deadline=0.1)
        with pytest.raises(TypeError, match="at least one"):
            await ac.amap(double)
        with pytest.raises(ValueError, match="n_jobs=0"):
            await ac.amap(double, [1], n_jobs=0)
        with pytest.raises(TypeError, match="engine='asyncio'"):
            await ac.amap(double, [1], engine="threads")
        results = await ac.amap(functools.partial(fail_at, {1}), range(3), on_error="return")
        assert [type(each) for each in results] == [int, ac.Failure, int]

    asyncio.run(main())


def test_cancelling_amap_cancels_its_items_and_leaves_nothing():
    async def main():
        stay = Stay()
        task = asyncio.create_task(ac.amap(stay.stay, range(100)))
        while len(stay.began) < 100:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert sorted(stay.ended) == list(range(100))
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


@pytest.mark.parametrize("engine", ["auto", "inline", "threads", "asyncio", "processes"])
def test_cancelling_amap_of_a_plain_function_starts_nothing_more(engine, tmp_path):
    async def main():
        function = functools.partial(on.attempt, str(tmp_path), 0, ValueError)
        task = asyncio.create_task(ac.amap(function, (x for x in range(10**9)), engine=engine))
        while not list(tmp_path.iterdir()):
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        started = len(list(tmp_path.iterdir()))
        assert await ac.amap(on.double, range(5), engine=engine) == [0, 2, 4, 6, 8]
        assert len(list(tmp_path.iterdir())) == started

    asyncio.run(main())


def test_a_timeout_of_the_users_around_amap():
    async def main():
        stay = Stay()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await ac.amap(stay.stay, range(10))
        assert sorted(stay.ended) == sorted(stay.began)

    asyncio.run(main())


def test_many_amaps_at_once():
    async def main():
        results = await asyncio.gather(*[ac.amap(double, range(n)) for n in range(20)])
        assert results == [[2 * x for x in range(n)] for n in range(20)]

    asyncio.run(main())


# -- async iterables and async for --------------------------------------------------------------------


class Tap:
    """Endless numbers, as an async iterator, that count how many were pulled, and in which thread."""

    def __init__(self, stop=10**9, fails=None):
        self.pulled = 0
        self.threads = set()
        self._stop = stop
        self._fails = fails

    def __aiter__(self):
        return self

    async def __anext__(self):
        self.threads.add(threading.get_ident())
        await asyncio.sleep(0)
        if self.pulled == self._stop:
            raise self._fails or StopAsyncIteration
        self.pulled += 1
        return self.pulled - 1


@pytest.mark.parametrize(
    "function", [double, on.double, lambda x: double(x)], ids=["async", "plain", "lambda"]
)
def test_amap_takes_async_iterables(function):
    async def main():
        tap = Tap(40)
        assert await ac.amap(function, tap) == [2 * x for x in range(40)]
        assert tap.threads == {threading.get_ident()}
        assert await ac.amap(function, Tap(0)) == []
        assert await ac.amap(lambda x, y: x + y, Tap(5), [10, 20, 30]) == [10, 21, 32]
        assert await ac.amap(lambda x, y: x + y, Tap(3), Tap(5)) == [0, 2, 4]

    asyncio.run(main())


def test_what_an_async_iterable_raises_comes_after_all_results_before_it():
    async def main():
        values = []
        with pytest.raises(OSError, match="gone"):
            async for y in ac.par(Tap(5, OSError("gone"))).map(double):
                values.append(y)
        assert values == [0, 2, 4, 6, 8]
        with pytest.raises(OSError, match="gone") as caught:
            await ac.amap(double, Tap(5, OSError("gone")))
        assert ac.partial(caught.value) == {x: 2 * x for x in range(5)}

    asyncio.run(main())


@pytest.mark.parametrize("function", [double, on.double], ids=["async", "plain"])
def test_async_iterables_are_not_read_on_past_the_window(function):
    async def main():
        tap = Tap()
        taken = 0
        async for y in ac.par(tap, window=8).map(function):
            assert y == 2 * taken
            taken += 1
            assert tap.pulled <= taken + 16
            if taken == 50:
                break

    asyncio.run(main())


def test_results_do_not_wait_for_the_next_item_of_a_slow_input():
    async def main():
        seen = asyncio.Event()

        async def items():
            yield 1
            await seen.wait()
            yield 2

        values = []
        async for y in ac.par(items()).map(double):
            values.append(y)
            seen.set()
        assert values == [2, 4]

    asyncio.run(main())


def test_batches_of_an_async_iterable():
    async def main():
        stream = ac.par(Tap(10)).batch(4).map(sum)
        assert [y async for y in stream] == [6, 22, 17]

    asyncio.run(main())


def test_only_coroutines_walk_async_iterables():
    for call in (
        lambda: ac.map(double, Tap()),
        lambda: ac.par(Tap()).map(double).sum(),
        lambda: list(ac.par(Tap()).map(double)),
        lambda: ac.par(Tap()).first(),
    ):
        with pytest.raises(TypeError, match=r"await allcores\.amap"):
            call()

    async def main():
        with pytest.raises(TypeError, match="list"):
            await ac.amap(lambda x, y: x, Tap(3), iter([1, 2]))

    asyncio.run(main())


@pytest.mark.parametrize(
    "options", [{}, {"engine": "inline"}, {"engine": "threads"}, {"engine": "processes"}], ids=str
)
def test_async_for_over_plain_stages(options):
    async def main():
        stream = ac.par(range(50), **options).map(on.double).filter(on.is_even).flat_map(on.up_to)
        assert [y async for y in stream] == [y for x in range(50) for y in range(2 * x)]

    asyncio.run(main())


def test_async_for_as_they_finish():
    async def main():
        taken = asyncio.Event()

        async def first_waits(x):
            if x == 0:
                await taken.wait()
            return x

        values = []
        async for y in ac.par(range(20), ordered=False, chunksize=1).map(first_waits):
            values.append(y)
            taken.set()
        assert sorted(values) == list(range(20))
        assert values[0] != 0

    asyncio.run(main())


@pytest.mark.parametrize("leave", ["break", "aclose", "cancel"])
def test_leaving_async_for_cancels_what_runs(leave):
    async def main():
        stay = Stay()

        async def first_or_stay(x):
            if x:
                return await stay.stay(x)
            while not stay.began:
                await asyncio.sleep(0.001)
            return x

        values = aiter(ac.par(Tap()).map(first_or_stay))
        assert await anext(values) == 0
        if leave == "cancel":
            task = asyncio.ensure_future(anext(values))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        elif leave == "aclose":
            await values.aclose()
        else:
            del values  # as `break` does
        while asyncio.all_tasks() != {asyncio.current_task()}:
            await asyncio.sleep(0.001)
        assert stay.began
        assert sorted(stay.ended) == sorted(stay.began)

    asyncio.run(main())


def test_an_endless_stream_that_is_left_ends_with_the_loop():
    async def main():
        async for y in ac.par(Tap()).map(double):
            if y == 20:
                return y

    assert asyncio.run(main()) == 20
