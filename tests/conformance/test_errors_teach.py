"""Errors teach: they name the culprit before anything hangs, and end with what to do."""

import functools
import re
import threading

import pytest

import allcores as ac

from . import functions as on

ADVICE = re.compile(
    r"\b(write|use|run|let|make|create|send|return|look|give|move|keep|call|look in|larger|n_jobs)\b",
    re.IGNORECASE,
)


class HasLock:
    def __init__(self):
        self.name = "connection"
        self.handle = threading.Lock()

    def work(self, x):
        return x


def teaches(error):
    """Whether the last sentence of a message says what to do."""
    sentences = re.split(r"(?<=\.)\s+", str(error).strip())
    return bool(ADVICE.search(sentences[-1]))


def test_an_unpicklable_captured_variable_is_named(moving):
    lock = threading.Lock()

    def locked(x):
        with lock:
            return x

    with pytest.raises(ac.Unpicklable, match="captured variable 'lock'") as caught:
        moving.map(locked, range(5))
    assert caught.value.what == "function"
    assert "lock" in caught.value.path
    assert caught.value.index is None
    assert "locked" in str(caught.value)
    assert isinstance(caught.value, TypeError)
    assert teaches(caught.value)


def test_an_unpicklable_attribute_of_a_method_s_object_is_named(moving):
    with pytest.raises(ac.Unpicklable, match="handle") as caught:
        moving.map(HasLock().work, range(5))
    assert caught.value.what == "function"
    assert teaches(caught.value)


def test_an_unpicklable_argument_of_a_partial_is_named(moving):
    with pytest.raises(ac.Unpicklable, match="'y'") as caught:
        moving.map(on.add, range(5), kwargs={"y": threading.Lock()})
    assert teaches(caught.value)


def test_an_unpicklable_stage_of_a_stream_is_named(moving):
    lock = threading.Lock()
    with pytest.raises(ac.Unpicklable, match="lock") as caught:
        moving.par(range(5)).map(on.double).filter(lambda x: lock.locked()).sum()
    assert teaches(caught.value)


def test_an_unpicklable_item_is_named(moving):
    items = [0, 1, {"handle": threading.Lock()}, 3]
    with pytest.raises(ac.Unpicklable, match="item 2") as caught:
        moving.map(repr, items)
    assert caught.value.what == "item"
    assert caught.value.index == 2
    assert "handle" in caught.value.path
    assert teaches(caught.value)


def test_an_unpicklable_item_is_an_error_of_its_place_alone(moving):
    items = [0, 1, threading.Lock(), 3]
    results = moving.map(type, items, on_error="return")
    assert results[:2] == [int, int]
    assert results[3] is int
    assert type(results[2]) is ac.Failure
    assert results[2].index == 2
    assert results[2].item is items[2]
    assert type(results[2].error) is ac.Unpicklable


def test_an_unpicklable_result_is_named(moving):
    with pytest.raises(ac.Unpicklable, match="result of item 3") as caught:
        moving.map(lambda x: {"handle": threading.Lock()} if x == 3 else x, range(6))
    assert caught.value.what == "result"
    assert caught.value.index == 3
    assert "handle" in caught.value.path
    assert teaches(caught.value)


def test_an_unpicklable_result_is_an_error_of_its_place_alone(moving):
    results = moving.map(lambda x: (y for y in ()) if x == 3 else x, range(6), on_error="return")
    assert [results[x] for x in (0, 1, 2, 4, 5)] == [0, 1, 2, 4, 5]
    assert type(results[3].error) is ac.Unpicklable


def test_an_item_that_cannot_be_rebuilt_says_so(moving):
    class Trap:
        def __reduce__(self):
            return int, ("not a number",)

    with pytest.raises(ac.Unpicklable, match="item 1") as caught:
        moving.map(type, [0, Trap()])
    assert caught.value.index == 1
    assert teaches(caught.value)


def test_a_result_that_cannot_be_rebuilt_says_so(moving):
    class Trap:
        def __reduce__(self):
            return int, ("not a number",)

    with pytest.raises(ac.Unpicklable, match="result of item 1") as caught:
        moving.map(lambda x: Trap() if x == 1 else x, range(3))
    assert caught.value.index == 1
    assert teaches(caught.value)


def test_what_cannot_travel_runs_in_the_caller_where_the_engine_is_ours_to_choose():
    lock = threading.Lock()

    def locked(x):
        with lock:
            return on.burn(x, 0.01)

    assert ac.map(locked, range(20)) == [x * x for x in range(20)]
    items = [x if x % 5 else threading.Lock() for x in range(20)]
    assert ac.map(lambda item: type(item).__name__ + str(on.burn(2, 0.01)), items) == [
        type(item).__name__ + "4" for item in items
    ]


def test_what_does_not_travel_needs_no_pickling(staying):
    lock = threading.Lock()
    assert staying.map(lambda x: (x, lock.locked()), range(5)) == [(x, False) for x in range(5)]


def test_an_exception_that_cannot_be_rebuilt_arrives_with_its_text(moving):
    with pytest.raises(ac.RemoteError, match="salt and pepper") as caught:
        moving.map(on.raise_stubborn, range(10))
    assert caught.value.type_name.endswith("StubbornError")
    assert "in raise_stubborn" in caught.value.text
    assert caught.value.index == 5
    assert teaches(caught.value)


def test_an_exception_that_cannot_be_pickled_arrives_with_its_text(moving):
    def function(x):
        error = ValueError("holds a lock")
        error.lock = threading.Lock()
        raise error

    with pytest.raises(ac.RemoteError, match="holds a lock") as caught:
        moving.map(function, range(3))
    assert caught.value.type_name == "ValueError"
    assert teaches(caught.value)


def test_an_exception_whose_text_fails_arrives(way):
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("no words")

    def function(x):
        raise Mute

    with pytest.raises((Mute, ac.RemoteError)):
        way.map(function, range(3))


def test_endless_recursion_arrives_as_recursion_error(way):
    def dive(x):
        return dive(x + 1)

    with pytest.raises(RecursionError):
        way.map(dive, range(3))
    assert way.map(on.double, range(5)) == [0, 2, 4, 6, 8]


def test_every_error_of_ours_teaches(way):
    errors = []
    for call in (
        lambda: ac.map(on.double, [1], n_jobs=0),
        lambda: ac.map(on.double, [1], engine="gpu"),
        lambda: ac.map(on.double, [1], unknown=1),
        lambda: ac.map(on.double, [1], engine="threads", timeout=1),
        lambda: way.par([1], on_error="return").sum(),
        lambda: way.par([]).reduce(max),
        lambda: way.par([]).first(),
        lambda: way.map(on.burn, range(1000), deadline=0.02),
    ):
        with pytest.raises(Exception) as caught:
            call()
        errors.append(caught.value)
    assert [error for error in errors if not teaches(error)] == []


@pytest.mark.parametrize(
    "failure",
    [
        functools.partial(on.fail_at, {2}),
        on.raise_custom_from,
        on.raise_stubborn,
        on.leave,
        functools.partial(on.add, y="text"),
    ],
    ids=["value", "custom", "stubborn", "exit", "type"],
)
def test_the_pool_is_usable_after_any_error(way, failure):
    for _ in range(3):
        with pytest.raises(BaseException):  # noqa: B017
            way.map(failure, range(10))
        assert way.map(on.double, range(10)) == [2 * x for x in range(10)]
