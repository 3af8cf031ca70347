"""A function that shows only when its first item ends that it returns something to await, long after work has moved."""

import asyncio
import os
import threading
import time
import warnings

import pytest

import allcores as ac
from allcores.runtime import caller
from allcores.runtime.watch import Watch

HERE = os.getpid()
PATIENCE_SECONDS = 20.0


def burn_until(condition):
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not condition() and time.monotonic() < give_up:
        sum(range(1000))


async def later(*values):
    await asyncio.sleep(0)
    return sum(values)


@pytest.fixture
def function(tmp_path):
    """Its first item ends when a worker has run another one."""
    ac.warmup()

    def function(*xs):
        if os.getpid() != HERE:
            (tmp_path / "moved").touch()
        elif xs[0] == 0:
            burn_until((tmp_path / "moved").exists)
        return later(*xs)

    yield function
    assert (tmp_path / "moved").exists()


@pytest.mark.filterwarnings("error")
def test_the_work_that_has_moved_is_taken_back(function):
    assert ac.map(function, range(300), n_jobs=2) == [*range(300)]


def test_also_where_several_inputs_are_walked(function):
    assert ac.map(function, range(300), [1] * 200, n_jobs=2) == [x + 1 for x in range(200)]


def test_also_in_batches(function):
    batches = ac.par(range(300), n_jobs=2).batch(3).map(lambda xs: function(*xs)).collect()
    assert batches == [9 * x + 3 for x in range(100)]


def test_also_in_a_stream_and_in_a_reduction(function):
    assert [*ac.par(range(300), n_jobs=2).map(function)] == [*range(300)]
    assert ac.par(range(300), n_jobs=2).map(function).sum() == sum(range(300))


async def amapped(function):
    return await ac.amap(function, range(300), n_jobs=2)


def test_also_in_amap(function):
    assert asyncio.run(amapped(function)) == [*range(300)]


def test_what_an_iterator_gives_is_neither_lost_nor_doubled(tmp_path, monkeypatch):
    ac.warmup()
    launched = tmp_path / "launched"

    def function(x):
        if x == 0:
            burn_until(launched.exists)
        return later(x)

    def named(*args):
        engine = engine_named(*args)
        launched.touch()
        return engine

    engine_named = caller.engine_named
    monkeypatch.setattr(caller, "engine_named", named)
    assert ac.map(function, iter(range(100)), n_jobs=2) == [*range(100)]
    assert launched.exists()


def test_no_write_is_lost_and_nobody_is_warned_of_one():
    asked, seen = threading.Event(), []

    def function(x):
        if x == 0:
            burn_until(asked.is_set)
        seen.append(x)
        return later(x)

    real = Watch.ask

    def ask(self, *args):
        refused = real(self, *args)
        asked.set()
        return refused

    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("error")
        patch.setattr(Watch, "ask", ask)
        assert ac.map(function, range(100), n_jobs=2) == [*range(100)]
    assert asked.is_set()
    assert sorted(seen) == [*range(100)]
