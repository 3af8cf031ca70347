"""The engine that chooses: work that moves half-way gives the same answer as work that stays."""

import functools
import threading
import time

import pytest

import allcores as ac

from . import functions as on

pytestmark = pytest.mark.alone


def threads_seen(directory, x):
    on.touch(directory, threading.get_ident())
    return on.nap(x, 0.02)


def processes_seen(directory, x):
    """The process it runs in, and for what share of the time it had a core to itself."""
    on.touch(directory, on.pid(x))
    began, cpu_began = time.perf_counter(), time.thread_time()
    on.burn(x, 0.02)
    return x * x, (time.thread_time() - cpu_began) / (time.perf_counter() - began)


def test_computing_moves_to_processes(tmp_path):
    function = functools.partial(processes_seen, str(tmp_path))
    squares, shares = zip(*ac.map(function, range(60), n_jobs=2), strict=True)
    assert squares == tuple(x * x for x in range(60))
    if min(shares) > 0.6:  # on a machine so busy that items get no core they look as if they waited
        assert len(list(tmp_path.iterdir())) >= 2


def cheap_then_dear(directory, x):
    """The first items cost next to nothing, so that the calling thread runs thousands of them in one go."""
    if x < 5_000:
        return sum(range(500))
    on.touch(directory, on.pid(x))
    return on.burn(x, 0.01)


def test_what_the_calling_thread_has_not_come_to_moves_when_items_get_dear(tmp_path):
    ac.warmup()
    function = functools.partial(cheap_then_dear, str(tmp_path))
    results = ac.map(function, range(5_200), n_jobs=2)
    assert results == [sum(range(500))] * 5_000 + [x * x for x in range(5_000, 5_200)]
    assert len(list(tmp_path.iterdir())) >= 2


def test_waiting_moves_to_threads(tmp_path):
    function = functools.partial(threads_seen, str(tmp_path))
    assert ac.map(function, range(60)) == [x * x for x in range(60)]
    assert len(list(tmp_path.iterdir())) >= 2


def test_a_tiny_loop_stays(tmp_path):
    function = functools.partial(on.pid)
    assert len(set(ac.map(function, range(50)))) == 1


@pytest.mark.parametrize("function", [on.burn, on.nap], ids=["computing", "waiting"])
@pytest.mark.parametrize("bad", [0, 1, 5, 17, 58])
def test_the_earliest_exception_wins_wherever_it_was_raised(function, bad):
    def failing(x):
        y = function(x, 0.004)
        if x in (bad, bad + 1, 59):
            raise ValueError(f"bad {x}")
        return y

    with pytest.raises(ValueError, match=rf"bad {bad}\b") as caught:
        ac.map(failing, range(60), n_jobs=2)
    finished = ac.partial(caught.value)
    assert set(finished) >= set(range(bad))
    assert finished == {x: x * x for x in finished}


@pytest.mark.parametrize("function", [on.burn, on.nap], ids=["computing", "waiting"])
def test_every_item_runs_once_when_work_moves(function, tmp_path):
    directory = str(tmp_path)

    def counted(x):
        on.attempt(directory, 0, ValueError, x)
        return function(x, 0.004)

    assert ac.map(counted, range(100)) == [x * x for x in range(100)]
    assert on.attempts(directory) == dict.fromkeys(range(100), 1)


@pytest.mark.parametrize("n_jobs", [1, 2, 3])
@pytest.mark.parametrize("function", [on.burn, on.nap], ids=["computing", "waiting"])
def test_the_cap_holds_while_work_moves(function, n_jobs, tmp_path):
    def counted(x):
        on.touch(str(tmp_path), x)
        function(x, 0.005)
        running = len(list(tmp_path.iterdir()))
        (tmp_path / str(x)).unlink()
        return running

    assert max(ac.map(counted, range(50), n_jobs=n_jobs)) <= n_jobs


def test_a_stream_whose_work_moves_keeps_its_order():
    assert list(ac.par(iter(range(80))).map(lambda x: on.burn(x, 0.004))) == [x * x for x in range(80)]


def test_a_reduction_whose_work_moves_keeps_its_bits():
    values = [(-1) ** x * 1.1**x for x in range(80)]

    def slow(x):
        on.burn(0, 0.004)
        return x

    total = ac.par(values, engine="inline").sum()
    for n_jobs in (2, 3):
        assert ac.par(values, n_jobs=n_jobs).map(slow).sum() == total


def test_failures_stand_in_their_places_when_work_moves():
    def failing(x):
        on.burn(x, 0.004)
        return 1 // (x % 10)

    results = ac.map(failing, range(60), on_error="return")
    assert [each.index for each in results if type(each) is ac.Failure] == [0, 10, 20, 30, 40, 50]
    assert [each.item for each in results if type(each) is ac.Failure] == [0, 10, 20, 30, 40, 50]


def test_a_generator_that_is_slow_itself_is_pulled_by_the_caller_alone():
    me = threading.get_ident()
    pulled_by = set()

    def items():
        for x in range(40):
            pulled_by.add(threading.get_ident())
            yield on.nap(x, 0.002)

    assert ac.map(on.burn, items()) == [x**4 for x in range(40)]
    assert pulled_by == {me}


def test_explain_and_map_agree_on_what_is_heavy():
    plan = ac.explain(lambda x: on.burn(x, 0.02), range(200), n_jobs=2)
    assert plan.engine in (
        "processes",
        "threads",
    )  # threads where the machine is so busy that it seems to wait
    assert ac.explain(lambda x: on.nap(x, 0.02), range(200)).engine == "threads"
    assert ac.explain(on.double, range(200)).engine == "inline"
