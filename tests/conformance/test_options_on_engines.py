"""Every option on every engine: it does what it is there for, or is refused in words that say what to write."""

import asyncio
import functools
import itertools
import os
import threading
import time

import pytest

import allcores as ac
from allcores.core import commands
from allcores.options import Options
from allcores.testing import Hangs, SimEngine

from . import functions as on

ENGINES = ("inline", "threads", "asyncio", "processes", "portable", "auto", "simulated")


def n_jobs_caps_how_many_run_at_once(way, directory):
    running = way.map(functools.partial(on.count_running, directory), range(6), n_jobs=1)
    assert running == [1] * 6


def engine_says_where_items_run(way, directory):
    """In which process, and whether in the calling thread."""
    places = way.map(lambda x: (os.getpid(), threading.get_ident()), range(4))
    here = os.getpid(), threading.get_ident()
    same_process = {pid == here[0] for pid, _ in places}
    in_this_thread = {place == here for place in places}
    expected = {
        "inline": ({True}, {True}),
        "threads": ({True}, {False}),
        "asyncio": ({True}, {False}),
        "processes": ({False}, {False}),
        "portable": ({False}, {False}),
        "auto": ({True}, {True}),  # for so little work
        "simulated": ({True}, {True}),
    }
    assert (same_process, in_this_thread) == expected[way.name]


def ordered_false_gives_results_as_they_finish(way, directory):
    assert sorted(way.par(range(20), ordered=False).map(on.double)) == [2 * x for x in range(20)]


def chunksize_is_how_many_travel_together(way, directory):
    given = {"engine": SimEngine()} if way.name == "simulated" else {}
    assert way.map(on.double, range(20), chunksize=5, **given) == [2 * x for x in range(20)]
    if given:
        sent = given["engine"].of(commands.Send)
        assert {(each.start, each.stop) for each in sent} == {(0, 5), (5, 10), (10, 15), (15, 20)}


def window_bounds_what_is_pulled(way, directory):
    pulled = []

    def items():
        for x in itertools.count():
            pulled.append(x)
            yield x

    results = iter(way.par(items(), window=4).map(on.double))
    assert [next(results) for _ in range(3)] == [0, 2, 4]
    results.close()
    assert len(pulled) <= 3 + 2 * 4


def window_bytes_bounds_and_changes_no_result(way, directory):
    stream = way.par(range(20), window_bytes=1).map(lambda x: bytes(1000 * x))
    assert [len(value) for value in stream] == [1000 * x for x in range(20)]


def timeout_stops_an_item(way, directory):
    async def hang(x):
        await asyncio.sleep(1000 if x == 3 else 0)
        return x

    function = hang if way.name == "asyncio" else on.double if way.name == "simulated" else on.hang
    given = {"engine": SimEngine(faults=[Hangs(3)])} if way.name == "simulated" else {}
    with pytest.raises(ac.TaskTimeout) as caught:
        way.map(function, range(6), timeout=0.5, **given)
    assert caught.value.index == 3


def deadline_ends_the_job(way, directory):
    with pytest.raises(ac.DeadlineExceeded, match=r"deadline=0\.3"):
        way.map(on.nap, itertools.count(), deadline=0.3)


def retries_try_again(way, directory):
    function = functools.partial(on.attempt, directory, 2, ValueError)
    assert way.map(function, range(4), retries=2) == list(range(4))
    assert on.attempts(directory) == dict.fromkeys(range(4), 3)


def retry_on_says_after_what(way, directory):
    function = functools.partial(on.attempt, directory, 1, ValueError)
    with pytest.raises(ValueError, match="attempt at 0"):
        way.map(function, range(1), retries=1, retry_on=OSError)
    assert way.map(function, range(1), retries=1, retry_on=(OSError, ValueError)) == [0]


def retry_wait_seconds_pass_between_attempts(way, directory):
    function = functools.partial(on.attempt, directory, 1, ValueError)
    began = time.monotonic()
    assert way.map(function, range(1), retries=1, retry_wait_seconds=0.05) == [0]
    assert way.name == "simulated" or time.monotonic() - began >= 0.05  # there time is simulated, too


def on_error_return_puts_a_failure_in_its_place(way, directory):
    results = way.map(functools.partial(on.fail_at, {2}), range(4), on_error="return")
    assert results[:2] + results[3:] == [0, 2, 6]
    assert (results[2].index, results[2].item, type(results[2].error)) == (2, 2, ValueError)


def seed_gives_each_item_a_generator(way, directory):
    def draw(x, rng):
        return int(rng.integers(1 << 60))

    expected = [int(ac.rng(7, x).integers(1 << 60)) for x in range(8)]
    assert way.map(draw, range(8), seed=7) == expected


def setup_makes_state(way, directory):
    assert way.map(lambda x, state: state + x, range(6), setup=lambda: 10) == [10 + x for x in range(6)]


def inner_threads_hold_libraries_to_so_many(way, directory):
    def threads(x):
        import numpy  # noqa: F401  (brings a library that starts threads)
        from threadpoolctl import threadpool_info

        return {each["num_threads"] for each in threadpool_info()}

    pytest.importorskip("numpy")
    pytest.importorskip("threadpoolctl")
    for count in (1, 2):
        assert way.map(threads, range(3), inner_threads=count) == [{count}] * 3


def writes_error_refuses_what_would_be_lost(way, directory):
    found = []
    if way.name in ("processes", "portable", "auto"):
        with pytest.raises(ac.LostWriteError, match=r"found\.append"):
            way.map(lambda x: found.append(x), range(6), writes="error")
        assert found == []
    else:  # one memory: nothing is lost
        way.map(lambda x: found.append(x), range(6), writes="error")
        assert sorted(found) == list(range(6))


def progress_counts_every_item(way, directory):
    import tqdm.auto

    made = []

    class Silent(tqdm.auto.tqdm):
        def __init__(self, **given):
            super().__init__(**{**given, "file": open(os.devnull, "w")})  # noqa: SIM115
            made.append(self)

    before, tqdm.auto.tqdm = tqdm.auto.tqdm, Silent
    try:
        assert way.map(on.double, range(30), progress="double") == [2 * x for x in range(30)]
    finally:
        tqdm.auto.tqdm = before
    (bar,) = made
    bar.fp.close()
    assert (bar.n, bar.total, bar.desc.rstrip(": ")) == (30, 30, "double")


def cost_is_asked_for_every_item_and_changes_no_result(way, directory):
    asked = []

    def cost(x):
        asked.append(x)
        return x

    assert way.map(on.double, range(20), cost=cost) == [2 * x for x in range(20)]
    assert asked == list(range(20))


WORKS = {
    "n_jobs": n_jobs_caps_how_many_run_at_once,
    "engine": engine_says_where_items_run,
    "ordered": ordered_false_gives_results_as_they_finish,
    "chunksize": chunksize_is_how_many_travel_together,
    "window": window_bounds_what_is_pulled,
    "timeout": timeout_stops_an_item,
    "deadline": deadline_ends_the_job,
    "retries": retries_try_again,
    "retry_on": retry_on_says_after_what,
    "retry_wait_seconds": retry_wait_seconds_pass_between_attempts,
    "on_error": on_error_return_puts_a_failure_in_its_place,
    "seed": seed_gives_each_item_a_generator,
    "setup": setup_makes_state,
    "inner_threads": inner_threads_hold_libraries_to_so_many,
    "writes": writes_error_refuses_what_would_be_lost,
    "window_bytes": window_bytes_bounds_and_changes_no_result,
    "progress": progress_counts_every_item,
    "cost": cost_is_asked_for_every_item_and_changes_no_result,
}

STOPS = "timeout cannot be kept with engine='{engine}'.*write engine='processes' or leave engine out"
SHARED = "seed cannot be kept with engine='{engine}'.*Write def f\\(x, rng\\).*or engine='processes'"
ORDER = r"map always returns results in order; write allcores.par\(items, ordered=False\).map\(f\)"

# What an engine cannot keep, or cannot keep in this form: the options, and the words of the refusal.
REFUSED = [
    *[("timeout", engine, {"timeout": 1}, STOPS) for engine in ("inline", "threads")],
    *[("seed", engine, {"seed": 1}, SHARED) for engine in ("threads", "asyncio")],
    *[("ordered", engine, {"ordered": False}, ORDER) for engine in ENGINES],
]
NOT_AT_ALL = {("timeout", "inline"), ("timeout", "threads")}


def test_the_table_has_every_option_and_every_engine(way):
    assert tuple(sorted(WORKS)) == tuple(sorted(Options._fields))
    assert way.name in ENGINES
    assert {(option, engine) for option, engine, _, _ in REFUSED} >= NOT_AT_ALL


@pytest.mark.parametrize("option", WORKS)
def test_an_option_does_what_it_is_there_for(way, option, tmp_path):
    if (option, way.name) in NOT_AT_ALL:
        pytest.skip("refused: see the next test")
    WORKS[option](way, str(tmp_path))


def test_what_an_engine_cannot_keep_is_refused_before_anything_runs(way):
    ran = []
    for option, engine, given, words in REFUSED:
        if engine == way.name:
            with pytest.raises(ValueError, match=words.format(engine=engine)):
                way.map(ran.append, range(5), **given)
            assert ran == [], option


def test_an_engine_that_a_block_asks_for_is_held_to_the_same():
    with ac.config(engine="threads"), pytest.raises(ValueError, match=STOPS.format(engine="threads")):
        ac.map(on.double, range(3), timeout=1)
