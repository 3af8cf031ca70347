"""Calls inside calls, and calls from several threads at once."""

import functools
import threading

import pytest

import allcores as ac

from . import functions as on


def test_a_call_inside_a_worker(way):
    assert way.map(on.nested_sum, range(8)) == [sum(2 * x for x in range(n)) for n in range(8)]


def test_a_stream_inside_a_worker(way):
    assert way.map(on.nested_stream, range(8)) == [sum(2 * x for x in range(n)) for n in range(8)]


def test_processes_inside_a_worker(way):
    assert way.map(on.nested_processes, range(4)) == [[2 * x for x in range(n)] for n in range(4)]


def test_an_error_inside_an_inner_call_comes_out(way):
    with pytest.raises(ValueError, match="bad 0"):
        way.map(on.nested_failure, range(3))


def test_a_lambda_inside_a_lambda(way):
    assert way.map(lambda n: ac.map(lambda x: x * n, range(3)), range(4)) == [[0, n, 2 * n] for n in range(4)]


def test_a_call_inside_the_input_iterator(way):
    def items():
        for x in range(5):
            yield from way.map(on.double, [x])

    assert way.map(on.double, items()) == [4 * x for x in range(5)]


def in_threads(*functions):
    """What each function gave, run at the same time; raises what one of them raised."""
    results = [None] * len(functions)
    errors = []

    def run(position, function):
        try:
            results[position] = function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]
    return results


def test_two_threads_call_the_same_function_at_once(way):
    call = functools.partial(way.map, on.burn, range(20))
    assert in_threads(call, call) == [[x * x for x in range(20)]] * 2


def test_several_threads_call_different_functions_at_once(way):
    calls = [functools.partial(way.map, functools.partial(on.add, z=z), range(30)) for z in range(5)]
    assert in_threads(*calls) == [[x + 10 + z for x in range(30)] for z in range(5)]


def test_an_error_in_one_thread_s_call_leaves_the_other_s_alone(way):
    def failing():
        with pytest.raises(ValueError, match="bad 5"):
            way.map(functools.partial(on.fail_at, {5}), range(20))
        return "failed"

    calls = (failing, functools.partial(way.map, on.burn, range(20)), failing)
    assert in_threads(*calls) == ["failed", [x * x for x in range(20)], "failed"]


def test_a_stream_may_be_taken_by_another_thread_than_the_one_that_made_it(way):
    results = iter(way.par(range(30)).map(on.double))
    assert next(results) == 0
    assert in_threads(lambda: list(results)) == [[2 * x for x in range(1, 30)]]


def test_many_calls_one_after_the_other(way):
    for count in range(30):
        assert way.map(on.double, range(count % 5)) == [2 * x for x in range(count % 5)]
