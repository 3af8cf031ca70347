"""warmup(): when it returns, workers are there."""

import functools
import os
import threading

import pytest

import allcores as ac
from allcores.processes import presence


@pytest.fixture(autouse=True, params=["forked", "portable"])
def start(request, monkeypatch):
    monkeypatch.delenv("ALLCORES_START", raising=False)
    ac.shutdown()
    if request.param == "portable":
        monkeypatch.setenv("ALLCORES_START", "portable")
    yield request.param
    ac.shutdown()


def pid(x):
    return os.getpid()


def test_without_a_function_the_root_of_all_workers_answers(start):
    assert not presence.is_warm()
    ac.warmup()
    assert presence.is_warm() == (start == "forked")


def test_the_workers_of_a_function_are_those_that_the_next_map_uses():
    from allcores.processes import pool

    ac.warmup(pid, n_jobs=2)
    (crew,) = pool._pool.idle
    waiting = set(crew._seats)
    assert len(waiting) == 2
    ac.map(pid, range(20), engine="processes", n_jobs=2, chunksize=1)
    assert pool._pool.idle == [crew]
    assert set(crew._seats) == waiting


def test_a_partial_is_warm_for_kwargs():
    from allcores.processes import pool

    ac.warmup(functools.partial(divmod), n_jobs=1)
    ac.warmup(functools.partial(int, base=2), n_jobs=1)
    crew = pool._pool.idle[-1]
    assert ac.map(int, ["10"], kwargs={"base": 2}, engine="processes", n_jobs=1) == [2]
    assert pool._pool.idle[-1] is crew


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        ((3,), {}, TypeError, "must be a function"),
        ((), {"n_jobs": 0}, ValueError, "write n_jobs=1"),
        ((abs,), {"n_jobs": "2"}, TypeError, "without quotes"),
        ((threading.Lock().acquire,), {}, ac.Unpicklable, "cannot travel"),
    ],
)
def test_what_cannot_be_started_is_refused(arguments, options, error, words):
    with pytest.raises(error, match=words):
        ac.warmup(*arguments, **options)
    assert not presence.is_warm()


def test_a_function_that_cannot_be_loaded_is_an_error(tmp_path, monkeypatch):
    import importlib
    import sys

    (tmp_path / "warm_gone.py").write_text("def f(x): return x\n")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        gone = importlib.import_module("warm_gone")
    with pytest.raises(ac.StartError, match="cannot load the function"):
        ac.warmup(gone.f, n_jobs=1)
    del sys.modules["warm_gone"]
