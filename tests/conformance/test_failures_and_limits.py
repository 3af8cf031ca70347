"""on_error, retries, timeout, deadline, and what had finished."""

import functools
import time

import pytest

import allcores as ac

from . import functions as on


def test_failures_stand_in_the_place_of_results(way):
    results = way.map(functools.partial(on.fail_at, {3, 7}), range(10), on_error="return")
    assert [results[x] for x in range(10) if x not in (3, 7)] == [2 * x for x in range(10) if x not in (3, 7)]
    for x in (3, 7):
        failure = results[x]
        assert type(failure) is ac.Failure
        assert (failure.index, failure.item) == (x, x)
        assert type(failure.error) is ValueError
        assert failure.error.args == (f"bad {x}",)


def test_every_item_may_fail(way):
    results = way.map(functools.partial(on.fail_at, set(range(20))), range(20), on_error="return")
    assert [(type(each), each.index, each.item) for each in results] == [
        (ac.Failure, x, x) for x in range(20)
    ]


def test_a_failure_of_several_iterables_holds_a_tuple(way):
    results = way.map(pow, [2, 0], [3, -1], on_error="return")
    assert results[0] == 8
    assert results[1].item == (0, -1)
    assert type(results[1].error) is ZeroDivisionError


def test_failures_of_an_iterator_hold_their_items(way):
    results = way.map(functools.partial(on.fail_at, {3}), iter(range(6)), on_error="return")
    assert (results[3].index, results[3].item) == (3, 3)


def test_later_stages_skip_a_failure(way):
    stream = (
        way.par(range(10), on_error="return")
        .map(functools.partial(on.fail_at, {3}))
        .filter(lambda y: y > 4)
        .map(str)
    )
    results = stream.collect()
    assert [each for each in results if type(each) is not ac.Failure] == [str(2 * x) for x in range(4, 10)]
    assert [(type(results[0]), results[0].index)] == [(ac.Failure, 3)]


def test_failures_come_with_unordered_results_too(way):
    results = list(
        way.par(range(10), on_error="return", ordered=False).map(functools.partial(on.fail_at, {3}))
    )
    assert sorted(each for each in results if type(each) is not ac.Failure) == [
        2 * x for x in range(10) if x != 3
    ]
    assert [each.index for each in results if type(each) is ac.Failure] == [3]


@pytest.mark.parametrize(
    "ending",
    [
        lambda stream: stream.sum(),
        lambda stream: stream.count(),
        lambda stream: stream.min(),
        lambda stream: stream.max(),
        lambda stream: stream.reduce(max),
        lambda stream: stream.fold(int, max, max),
        lambda stream: stream.fold_by(bool, int, max, max),
        lambda stream: stream.any(),
        lambda stream: stream.all(),
        lambda stream: stream.first(),
        lambda stream: stream.for_each(abs),
    ],
    ids=["sum", "count", "min", "max", "reduce", "fold", "fold_by", "any", "all", "first", "for_each"],
)
def test_an_ending_without_a_place_for_failures_refuses_them(way, ending):
    with pytest.raises(ValueError, match=r"collect\(\)"):
        ending(way.par([1], on_error="return"))


def test_system_exit_becomes_a_failure_where_failures_are_wanted(way):
    results = way.map(on.leave, range(6), on_error="return")
    assert results[:4] == [0, 1, 2, 3]
    assert type(results[4].error) is SystemExit
    assert results[5] == 5


# -- retries ------------------------------------------------------------------------------------------


def test_an_item_is_tried_again_as_often_as_asked(way, tmp_path):
    directory = str(tmp_path)
    assert way.map(functools.partial(on.attempt, directory, 2, ValueError), range(8), retries=2) == list(
        range(8)
    )
    assert on.attempts(directory) == dict.fromkeys(range(8), 3)


def test_the_last_error_is_raised_when_tries_run_out(way, tmp_path):
    directory = str(tmp_path)
    with pytest.raises(ValueError, match="attempt at 0"):
        way.map(functools.partial(on.attempt, directory, 99, ValueError), [0], retries=2)
    assert on.attempts(directory) == {0: 3}


def test_without_retries_an_item_is_tried_once(way, tmp_path):
    directory = str(tmp_path)
    way.map(functools.partial(on.attempt, directory, 99, ValueError), range(8), on_error="return")
    assert on.attempts(directory) == dict.fromkeys(range(8), 1)


def test_failures_with_retries_have_used_them_all(way, tmp_path):
    directory = str(tmp_path)
    results = way.map(
        functools.partial(on.attempt, directory, 99, ValueError), range(8), retries=3, on_error="return"
    )
    assert [type(each) for each in results] == [ac.Failure] * 8
    assert on.attempts(directory) == dict.fromkeys(range(8), 4)


def test_only_errors_of_retry_on_are_tried_again(way, tmp_path):
    directory = str(tmp_path)
    function = functools.partial(on.attempt, directory, 2, ValueError)
    with pytest.raises(ValueError):
        way.map(function, [0], retries=5, retry_on=(KeyError, OSError))
    assert on.attempts(directory) == {0: 1}
    assert way.map(function, [1], retries=5, retry_on=(KeyError, ValueError)) == [1]
    assert on.attempts(directory) == {0: 1, 1: 3}


def test_retry_on_takes_classes_of_the_users(way, tmp_path):
    class Flaky(Exception):
        pass

    directory = str(tmp_path)
    assert way.map(
        functools.partial(on.attempt, directory, 1, Flaky), range(3), retries=1, retry_on=Flaky
    ) == [0, 1, 2]


def test_retries_wait_as_long_as_asked(way, tmp_path):
    began = time.monotonic()
    result = way.map(
        functools.partial(on.attempt, str(tmp_path), 2, ValueError), [0], retries=2, retry_wait_seconds=0.05
    )
    assert result == [0]
    if way.name != "simulated":
        assert time.monotonic() - began >= 0.1


def test_retries_work_in_streams_and_reductions(way, tmp_path):
    directory = str(tmp_path)
    stream = way.par(range(40), retries=1).map(functools.partial(on.attempt, directory, 1, ValueError))
    assert stream.sum() == sum(range(40))
    assert on.attempts(directory) == dict.fromkeys(range(40), 2)


# -- limits of time -----------------------------------------------------------------------------------


def test_an_item_that_runs_too_long_is_stopped(stopping):
    with pytest.raises(ac.TaskTimeout) as caught:
        stopping.map(on.hang, range(6), timeout=0.2)
    assert caught.value.index == 3
    assert caught.value.seconds == 0.2
    assert isinstance(caught.value, TimeoutError)
    assert stopping.map(on.double, range(6)) == [2 * x for x in range(6)]


def test_a_timeout_costs_that_item_alone(stopping):
    results = stopping.map(on.hang, range(30), timeout=0.2, on_error="return")
    assert [results[x] for x in range(30) if x != 3] == [x for x in range(30) if x != 3]
    assert type(results[3].error) is ac.TaskTimeout
    assert results[3].error.index == 3


def test_a_timeout_is_a_failed_attempt(stopping, tmp_path):
    directory = str(tmp_path)

    def hang_once(x):
        with open(f"{directory}/{x}", "ab") as file:
            file.write(b".")
        if x == 3 and on.attempts(directory)[3] == 1:
            time.sleep(1000)
        return x

    assert stopping.map(hang_once, range(8), timeout=0.3, retries=1) == list(range(8))
    assert on.attempts(directory)[3] == 2


@pytest.mark.parametrize(
    ("retry_on", "attempts"), [(ValueError, 1), (ac.TaskTimeout, 3), ((ValueError, TimeoutError), 3)], ids=str
)
def test_a_timeout_is_tried_again_only_where_retry_on_says_so(stopping, retry_on, attempts, tmp_path):
    directory = str(tmp_path)

    def hang(x):
        with open(f"{directory}/{x}", "ab") as file:
            file.write(b".")
        time.sleep(1000)

    with pytest.raises(ac.TaskTimeout):
        stopping.map(hang, [0], timeout=0.2, retries=2, retry_on=retry_on)
    assert on.attempts(directory) == {0: attempts}


def test_quick_items_are_not_stopped(stopping):
    assert stopping.map(on.double, range(200), timeout=30) == [2 * x for x in range(200)]


def test_the_timeout_is_an_item_s_and_not_the_chunk_s(stopping):
    assert stopping.map(on.nap, range(30), [0.03] * 30, timeout=0.3, chunksize=30) == [
        x * x for x in range(30)
    ]


def test_a_job_past_its_deadline_ends(way):
    with pytest.raises(ac.DeadlineExceeded) as caught:
        way.map(on.nap, range(100_000), [0.005] * 100_000, deadline=0.2)
    assert caught.value.seconds == 0.2
    assert isinstance(caught.value, TimeoutError)
    assert way.map(on.double, range(6)) == [2 * x for x in range(6)]


def test_a_job_within_its_deadline_is_not_disturbed(way):
    assert way.map(on.double, range(100), deadline=60) == [2 * x for x in range(100)]


def test_a_deadline_stops_an_endless_item(moving):
    with pytest.raises(ac.DeadlineExceeded):
        moving.map(on.hang, range(6), deadline=0.3)
    assert moving.map(on.double, range(6)) == [2 * x for x in range(6)]


def test_a_deadline_holds_for_streams_and_reductions(way):
    stream = way.par(range(100_000), deadline=0.2).map(on.nap)
    with pytest.raises(ac.DeadlineExceeded):
        stream.sum()
    with pytest.raises(ac.DeadlineExceeded):
        for _ in stream:
            pass


# -- what had finished --------------------------------------------------------------------------------


def test_partial_has_what_had_finished_before_a_deadline(way):
    way.map(on.nap, range(4), [0.0] * 4)  # on a busy machine starting workers may take the whole half second
    with pytest.raises(ac.DeadlineExceeded) as caught:
        way.map(on.nap, range(100_000), [0.005] * 100_000, deadline=0.5)
    finished = ac.partial(caught.value)
    assert finished
    assert finished == {x: x * x for x in finished}


def test_partial_has_everything_before_the_failing_item(way):
    with pytest.raises(ValueError) as caught:
        way.map(functools.partial(on.fail_at, {12}), range(30))
    finished = ac.partial(caught.value)
    assert set(finished) >= set(range(12))
    assert 12 not in finished
    assert finished == {x: 2 * x for x in finished}


def test_partial_of_a_timeout_has_the_others(stopping):
    with pytest.raises(ac.TaskTimeout) as caught:
        stopping.map(on.hang, range(6), timeout=0.2)
    finished = ac.partial(caught.value)
    assert set(finished) >= {0, 1, 2}
    assert finished == {x: x for x in finished}


def test_partial_of_any_other_exception_is_empty():
    assert ac.partial(ValueError("mine")) == {}
