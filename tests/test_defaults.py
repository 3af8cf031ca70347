"""Defaults: what a call says itself wins, then the innermost block, then the environment."""

import asyncio
import os
import threading

import pytest

import allcores as ac
from allcores.options import Options, checked
from allcores.processes import presence


def untouched(*arguments):
    raise AssertionError("the function was called")


def test_a_block_gives_every_call_inside_its_defaults():
    with ac.config(n_jobs=3, engine="threads"):
        options = checked({})
    assert (options.n_jobs, options.engine) == (3, "threads")
    assert checked({}) == Options()


def test_the_inner_block_wins_and_the_call_itself_wins_over_both():
    with ac.config(n_jobs=3, retries=1):
        with ac.config(n_jobs=2):
            assert (checked({}).n_jobs, checked({}).retries) == (2, 1)
            assert checked({"n_jobs": 5}).n_jobs == 5
        assert checked({}).n_jobs == 3


def test_a_call_may_undo_a_default():
    with ac.config(n_jobs=3, timeout=1):
        assert checked({"n_jobs": None, "timeout": None}) == Options()


def test_one_object_may_be_entered_again_and_again():
    defaults = ac.config(n_jobs=3)
    with defaults, ac.config(n_jobs=2), defaults:
        assert checked({}).n_jobs == 3
    assert checked({}).n_jobs is None


def test_an_error_inside_a_block_ends_it():
    with pytest.raises(ZeroDivisionError), ac.config(n_jobs=3):
        1 / 0
    assert checked({}).n_jobs is None


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"n_job": 2}, TypeError, "'n_job' is not an option.*write one of"),
        ({"n_jobs": "3"}, TypeError, "write n_jobs=3, without quotes"),
        ({"engine": "gpu"}, ValueError, "write one of"),
        ({"timeout": 1, "engine": "threads"}, ValueError, "write engine='processes'"),
    ],
    ids=repr,
)
def test_bad_defaults_are_refused_before_the_block(options, error, words):
    with pytest.raises(error, match=words):
        ac.config(**options)


def test_a_stream_takes_its_defaults_where_par_is_called():
    with ac.config(on_error="return"):
        stream = ac.par([1, 0]).map(lambda x: 1 // x)
    assert [type(value) for value in stream] == [int, ac.Failure]
    bare = ac.par([1, 0]).map(lambda x: 1 // x)
    with ac.config(on_error="return"), pytest.raises(ZeroDivisionError):
        bare.collect()


def test_results_of_map_are_in_order_whatever_streams_are_told():
    with ac.config(ordered=False, engine="threads", n_jobs=4):
        assert ac.map(abs, range(50)) == list(range(50))


def test_another_thread_is_not_touched():
    seen = []
    with ac.config(n_jobs=3):
        thread = threading.Thread(target=lambda: seen.append(checked({}).n_jobs))
        thread.start()
        thread.join()
    assert seen == [None]


def test_asyncio_tasks_that_take_turns_keep_their_own_defaults():
    async def call(n_jobs, mine, other):
        with ac.config(n_jobs=n_jobs):
            mine.set()
            await other.wait()
            return checked({}).n_jobs

    async def both():
        first, second = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(call(2, first, second), call(3, second, first))

    assert asyncio.run(both()) == [2, 3]


def test_the_environment_is_read_at_each_call_and_stands_below_everything(monkeypatch):
    monkeypatch.setenv("ALLCORES_ENGINE", "threads")
    monkeypatch.setenv("ALLCORES_N_JOBS", "3")
    assert (checked({}).engine, checked({}).n_jobs) == ("threads", 3)
    assert checked({"n_jobs": 2}).n_jobs == 2
    with ac.config(engine="inline"):
        assert (checked({}).engine, checked({}).n_jobs) == ("inline", 3)
    monkeypatch.setenv("ALLCORES_N_JOBS", "-1")
    assert checked({}).n_jobs == ac.cpu_count()
    monkeypatch.setenv("ALLCORES_N_JOBS", "")
    monkeypatch.setenv("ALLCORES_ENGINE", "")
    assert checked({}) == Options()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALLCORES_ENGINE", "gpu"),
        ("ALLCORES_N_JOBS", "many"),
        ("ALLCORES_N_JOBS", "0"),
        ("ALLCORES_N_JOBS", "1.5"),
        ("ALLCORES_N_JOBS", "9" * 30),
    ],
)
def test_a_bad_value_in_the_environment_names_the_variable(name, value, monkeypatch):
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=f"{name} is '{value}'; write"):
        ac.map(untouched, [1])
    with pytest.raises(ValueError, match=name):
        ac.par([1])


def test_inside_a_worker_the_environment_asks_for_nothing(monkeypatch):
    monkeypatch.setenv("ALLCORES_N_JOBS", "3")
    monkeypatch.setattr(presence, "inside_worker", lambda: True)
    assert checked({}).n_jobs is None


def test_an_executor_takes_its_number_of_workers_and_its_engine():
    with ac.config(n_jobs=2, engine="threads", retries=3):
        with ac.Executor() as executor:
            assert executor._max_workers == 2
            assert executor.submit(os.getpid).result() == os.getpid()
        with ac.Executor(max_workers=1, engine="processes") as executor:
            assert executor._max_workers == 1
            assert executor.submit(os.getpid).result() != os.getpid()


def test_an_executor_takes_the_environment_s_too(monkeypatch):
    monkeypatch.setenv("ALLCORES_N_JOBS", "3")
    monkeypatch.setenv("ALLCORES_ENGINE", "threads")
    with ac.Executor() as executor:
        assert executor._max_workers == 3
        assert executor.submit(os.getpid).result() == os.getpid()


def test_an_executor_refuses_a_default_engine_that_it_has_not():
    words = "engine=.inline., which config or ALLCORES_ENGINE asks for, is not one of an Executor; write one of: auto"
    with ac.config(engine="inline"), pytest.raises(ValueError, match=words):
        ac.Executor()
    with ac.config(engine="inline"), ac.Executor(engine="threads") as executor:
        assert executor.submit(abs, -1).result() == 1
