"""What ``setup`` makes reaches the function as ``state``: once for each worker, anew for each job."""

import functools
import os
import threading

import pytest

import allcores as ac

from . import functions as on


class State:
    """Says where it was made, and counts what it is used for."""

    def __init__(self):
        self.place = os.getpid(), threading.get_ident()
        self.uses = 0


def make_counting(directory):
    on.touch(directory, f"{os.getpid()}-{threading.get_ident()}-{len(os.listdir(directory))}")
    return State()


def use(x, state):
    state.uses += 1
    return x, state.place == (os.getpid(), threading.get_ident()), state.uses


def test_the_function_gets_what_setup_made_where_it_runs(way):
    results = way.map(use, range(30), setup=State)
    assert [(x, here) for x, here, _ in results] == [(x, True) for x in range(30)]


def test_setup_is_called_once_in_each_worker(way, tmp_path):
    results = way.map(use, range(30), setup=functools.partial(make_counting, str(tmp_path)))
    assert 1 <= len(os.listdir(tmp_path)) <= 2 + (way.name == "auto")
    assert max(uses for _, _, uses in results) >= 10


def test_every_job_begins_anew(way):
    for _ in range(3):
        assert min(uses for _, _, uses in way.map(use, range(5), setup=State)) == 1


def test_a_closure_may_be_a_setup(way):
    table = {"a": 1}
    assert way.map(lambda x, state: state[x], ["a"] * 3, setup=lambda: dict(table)) == [1, 1, 1]


def test_state_may_be_what_cannot_travel(way):
    def function(x, *, state):
        with state:
            return x

    assert way.map(function, range(5), setup=threading.Lock) == list(range(5))


def test_every_stage_that_takes_state_gets_it(way):
    stream = way.par(range(6), setup=lambda: 10)
    stream = stream.map(lambda x, state: x + state).filter(lambda x: x % 2).map(lambda x, state: x * state)
    assert stream.collect() == [110, 130, 150]
    assert stream.sum() == 390


def test_state_and_generator_go_together(way):
    def function(x, rng, state):
        return state + int(rng.integers(10**9))

    assert way.map(function, range(4), seed=1, setup=lambda: 5) == [
        5 + int(ac.rng(1, i).integers(10**9)) for i in range(4)
    ]


def test_a_seeded_setup_makes_the_same_in_every_worker(way):
    if way.name in ("threads", "asyncio"):
        pytest.skip("threads share the generators: only rng is seeded there")

    def setup():
        import random

        return random.random()

    function = lambda x, rng, state: state
    assert len(set(way.map(function, range(20), seed=1, setup=setup, chunksize=1))) == 1


def test_a_setup_that_fails_ends_the_job_and_says_so(way):
    def setup():
        raise KeyError("no model")

    with pytest.raises(ac.StartError, match="setup raised KeyError: 'no model'") as caught:
        way.map(lambda x, state: x, range(10), setup=setup)
    assert isinstance(caught.value.__cause__, KeyError)
    assert way.map(on.double, range(3)) == [0, 2, 4]


def test_it_is_no_failure_of_an_item(way):
    with pytest.raises(ac.StartError):
        way.map(lambda x, state: x, range(10), setup=lambda: 1 / 0, on_error="return", retries=2)


def test_a_setup_that_leaves_ends_the_job_too(way):
    with pytest.raises(ac.StartError, match="setup raised SystemExit"):
        way.map(lambda x, state: x, range(3), setup=lambda: exit(3))


def test_no_items_need_no_setup(way):
    assert way.map(lambda x, state: x, [], setup=lambda: 5) == []


def test_the_caller_calls_it_only_where_items_run_there(moving):
    caller = os.getpid()
    assert moving.map(lambda x, state: state == caller, range(4), setup=os.getpid) == [False] * 4


@pytest.mark.parametrize("function", [on.double, abs, lambda x, **others: x, lambda state: state])
def test_a_function_that_takes_no_state_is_refused(function):
    with pytest.raises(ValueError, match=r"keyword `state`, which it does not take; write def f\(x, state\)"):
        ac.map(function, [1], setup=State)


def test_state_that_is_given_twice_is_refused():
    with pytest.raises(ValueError, match="state is given twice: by setup= and by kwargs"):
        ac.map(use, [1], kwargs={"state": 1}, setup=State)


def test_what_cannot_be_called_is_no_setup():
    with pytest.raises(TypeError, match="setup must be a function without arguments"):
        ac.map(use, [1], setup=5)


def test_a_worker_that_takes_the_place_of_a_lost_one_is_set_up_too(tmp_path):
    def function(x, state):
        if x == 3 and not (tmp_path / "died").exists():
            on.touch(tmp_path, "died")
            os.kill(os.getpid(), 9)
        return state

    results = ac.map(
        function, range(8), setup=lambda: "ready", engine="processes", n_jobs=2, retries=1,
        retry_on=ac.WorkerLost,
    )  # fmt: skip
    assert results == ["ready"] * 8


def test_a_worker_knows_its_number(way):
    numbers = set(way.map(lambda x: ac.worker_index(), range(30)))
    assert numbers <= {0, 1}
    assert ac.worker_index() is None


def test_workers_that_run_at_once_have_different_numbers(parallel, tmp_path):
    directory = str(tmp_path)

    def function(x):
        on.meet(directory, 3, x)
        return ac.worker_index()

    assert sorted(parallel.map(function, range(3), n_jobs=3, chunksize=1)) == [0, 1, 2]


def test_the_number_is_known_in_setup(parallel):
    function = lambda x, state: state == ac.worker_index()
    assert all(parallel.map(function, range(10), setup=ac.worker_index, chunksize=1))


def test_a_lost_worker_s_number_is_given_to_the_next(tmp_path):
    def function(x):
        if x % 3 == 2:
            os.kill(os.getpid(), 9)
        return ac.worker_index()

    results = ac.map(function, range(12), engine="processes", n_jobs=2, on_error="return", chunksize=1)
    assert {each for each in results if not isinstance(each, ac.Failure)} <= {0, 1}
