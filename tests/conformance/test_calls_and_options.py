"""Calls and options: map, starmap, n_jobs, chunksize, window."""

import functools
import itertools
import operator

import pytest

import allcores as ac

from . import functions as on


def test_map_gives_what_the_loop_gives(way):
    assert way.map(on.double, range(100)) == [on.double(x) for x in range(100)]


def test_map_walks_several_iterables_like_the_builtin(way):
    assert way.map(pow, [2, 3, 4], [5, 2, 1]) == list(map(pow, [2, 3, 4], [5, 2, 1]))


def test_the_shortest_of_several_iterables_ends_it(way):
    assert way.map(operator.add, itertools.count(), [5, 6, 7]) == [5, 7, 9]


def test_constant_keyword_arguments_go_into_kwargs(way):
    assert way.map(on.add, [1, 2], kwargs={"y": 20, "z": 0}) == [21, 22]


def test_kwargs_go_with_several_iterables_too(way):
    assert way.map(on.add, [1, 2], [3, 4], kwargs={"z": 0}) == [4, 6]


def test_starmap_spreads_each_item(way):
    assert way.starmap(on.add, [(1, 2), (3,), (4, 5, 6)]) == list(
        itertools.starmap(on.add, [(1, 2), (3,), (4, 5, 6)])
    )


def test_starmap_takes_kwargs(way):
    assert way.starmap(on.add, [(1, 2), (3, 4)], kwargs={"z": 0}) == [3, 7]


@pytest.mark.parametrize(
    "nothing", [[], (), range(0), "", iter(()), {}, set()], ids=lambda each: type(each).__name__
)
def test_no_items_give_no_results(way, nothing):
    assert way.map(on.double, nothing) == []


def test_one_item_gives_one_result(way):
    assert way.map(on.double, [21]) == [42]


@pytest.mark.parametrize(
    "items",
    [[3, 1, 2], (3, 1, 2), range(3, 0, -1), {3: "a", 1: "b"}, {3, 1, 2}, "abc", b"abc", bytearray(b"abc")],
    ids=lambda items: type(items).__name__,
)
def test_anything_iterable_will_do(way, items):
    expected = list(items)
    for each in (items, iter(items), (item for item in items), dict.fromkeys(items).keys()):
        assert way.map(repr, each) == list(map(repr, expected))


def test_arrays_are_walked_by_their_first_axis(way):
    numpy = pytest.importorskip("numpy")
    assert way.map(numpy.sum, numpy.arange(12).reshape(4, 3)) == [3, 12, 21, 30]


def test_results_may_be_none(way):
    assert way.map(print, []) == []
    assert way.map({}.get, range(5)) == [None] * 5


def test_every_item_runs_once(way, tmp_path):
    directory = str(tmp_path)
    way.map(functools.partial(on.attempt, directory, 0, ValueError), range(200))
    assert on.attempts(directory) == dict.fromkeys(range(200), 1)


@pytest.mark.parametrize("n_jobs", [1, 2, 3, -1, -2, -100])
def test_any_number_of_workers_gives_the_same_answer(way, n_jobs):
    assert way.map(on.double, range(60), n_jobs=n_jobs) == [2 * x for x in range(60)]


@pytest.mark.parametrize("n_jobs", [1, 2, 3])
def test_no_more_items_run_at_once_than_n_jobs(way, n_jobs, tmp_path):
    running = way.map(functools.partial(on.count_running, str(tmp_path)), range(40), n_jobs=n_jobs)
    assert 1 <= max(running) <= n_jobs


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_cap_holds_for_streams_too(way, n_jobs, tmp_path):
    function = functools.partial(on.count_running, str(tmp_path))
    assert max(way.par(range(30), n_jobs=n_jobs, ordered=False).map(function)) <= n_jobs


def test_negative_n_jobs_count_from_the_cores(way, tmp_path):
    running = way.map(functools.partial(on.count_running, str(tmp_path)), range(40), n_jobs=-1)
    assert max(running) <= ac.cpu_count()


@pytest.mark.parametrize("count", [2, 3])
def test_with_no_option_given_as_few_items_as_these_run_at_once_where_they_wait(count, tmp_path):
    assert ac.map(functools.partial(on.meet, str(tmp_path), count), range(count)) == [True] * count


@pytest.mark.parametrize("n_jobs", [2, 3])
def test_so_many_items_do_run_at_once(parallel, n_jobs, tmp_path):
    met = parallel.map(
        functools.partial(on.meet, str(tmp_path), n_jobs), range(n_jobs), n_jobs=n_jobs, chunksize=1
    )
    assert met == [True] * n_jobs


@pytest.mark.parametrize("chunksize", [1, 3, 7, 1000, "auto"])
def test_any_chunksize_gives_the_same_answer(way, chunksize):
    assert way.map(on.double, range(50), chunksize=chunksize) == [2 * x for x in range(50)]
    assert way.map(on.double, iter(range(50)), chunksize=chunksize) == [2 * x for x in range(50)]


@pytest.mark.parametrize("window", [1, 2, 10, 10_000])
def test_any_window_gives_the_same_answer(way, window):
    assert way.map(on.double, range(50), window=window) == [2 * x for x in range(50)]


def test_uneven_items_keep_their_order(way):
    seconds = [0.01, 0.0, 0.0, 0.004, 0.0] * 6
    assert way.map(on.burn, range(30), seconds) == [x * x for x in range(30)]


def test_waiting_items_keep_their_order(way):
    seconds = [0.01, 0.0, 0.0, 0.004, 0.0] * 6
    assert way.map(on.nap, range(30), seconds) == [x * x for x in range(30)]


def test_large_items_and_results_arrive_whole(way):
    items = [bytes([x]) * (1 << 20) for x in range(8)]
    assert way.map(bytes.swapcase, items) == [item.swapcase() for item in items]


def test_many_tiny_items_arrive(way):
    assert way.map(on.double, range(20_000)) == list(range(0, 40_000, 2))


@pytest.mark.parametrize(
    ("options", "error", "advice"),
    [
        ({"n_jobs": 0}, ValueError, "n_jobs=1"),
        ({"n_jobs": 1.5}, TypeError, "whole number"),
        ({"n_jobs": True}, TypeError, "whole number"),
        ({"engine": "gpu"}, ValueError, "processes"),
        ({"engine": 3}, TypeError, "inline"),
        ({"chunksize": 0}, ValueError, "at least 1"),
        ({"chunksize": "big"}, TypeError, "chunksize"),
        ({"window": 0}, ValueError, "at least 1"),
        ({"timeout": 0}, ValueError, "more than 0"),
        ({"timeout": "soon"}, TypeError, "seconds"),
        ({"deadline": -1}, ValueError, "more than 0"),
        ({"retries": -1}, ValueError, "at least 0"),
        ({"retry_on": "errors"}, TypeError, "class"),
        ({"retry_wait_seconds": -1}, ValueError, "from 0"),
        ({"on_error": "ignore"}, ValueError, "'return'"),
        ({"ordered": False}, ValueError, "par"),
        ({"jobs": 3}, TypeError, "n_jobs"),
        ({"timeout": 1, "engine": "threads"}, ValueError, "processes"),
        ({"timeout": 1, "engine": "inline"}, ValueError, "processes"),
    ],
    ids=repr,
)
def test_bad_options_are_refused_at_the_door_and_say_what_to_write(options, error, advice):
    def never(x):
        raise AssertionError("nothing runs")

    with pytest.raises(error, match=advice):
        ac.map(never, [1], **options)


def test_map_needs_a_function_and_an_iterable():
    with pytest.raises(TypeError, match="function"):
        ac.map([1, 2], on.double)
    with pytest.raises(TypeError, match="iterable"):
        ac.map(on.double)
    with pytest.raises(TypeError, match="iterable"):
        ac.map(on.double, 5)


def test_explain_gives_a_plan_and_reasons():
    plan = ac.explain(on.double, range(1000))
    assert plan.engine in ("inline", "threads", "processes")
    assert plan.n_jobs >= 1
    assert plan.reasons
    assert set(plan.seconds) == {"inline", "threads", "processes"}
    assert plan.engine in str(plan)


def test_explain_refuses_to_use_up_an_iterator():
    with pytest.raises(TypeError, match="list"):
        ac.explain(on.double, iter([1, 2, 3]))


def test_explain_runs_at_most_three_items(tmp_path):
    ac.explain(functools.partial(on.attempt, str(tmp_path), 0, ValueError), range(100))
    assert len(on.attempts(str(tmp_path))) <= 3
