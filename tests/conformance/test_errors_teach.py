"""Errors teach: they name the culprit before anything hangs, and end with what to do."""

import errno
import functools
import re
import subprocess
import sys
import threading

import pytest

import allcores as ac
from allcores.processes.shortage import refusal

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


def test_what_is_not_iterable_is_refused_with_what_to_write(way):
    for call in (
        lambda items: way.map(abs, items),
        lambda items: way.par(items),
        lambda items: ac.explain(abs, items),
    ):
        with pytest.raises(
            TypeError, match=r"items must be iterable, and int is not; write \[item\]"
        ) as caught:
            call(3)
        assert teaches(caught.value)
    with pytest.raises(TypeError, match="int is not"):
        way.map(pow, [1, 2], 3)


def test_an_array_without_dimensions_is_no_items(way):
    numpy = pytest.importorskip("numpy")
    with pytest.raises(TypeError, match=r"write .*numpy\.atleast_1d"):
        way.map(abs, numpy.array(3))


def test_a_result_that_cannot_be_rebuilt_keeps_the_item_of_its_place(moving):
    class Trap:
        def __reduce__(self):
            return int, ("not a number",)

    results = moving.map(lambda x: Trap() if x == 12 else x, range(10, 15), on_error="return", chunksize=5)
    assert results[:2] == [10, 11]
    assert (results[2].index, results[2].item) == (2, 12)


def test_one_exception_object_that_is_raised_again_carries_one_note(way):
    error = ValueError("always this one")

    def fail(x):
        raise error

    for _ in range(2):
        failures = way.map(fail, range(3), on_error="return")
        assert [failure.index for failure in failures] == [0, 1, 2]
        assert all(len(failure.error.__notes__) == 1 for failure in failures)


def test_the_advice_for_an_exception_that_cannot_be_rebuilt_fits_its_cause(moving):
    def holds(x):
        error = ValueError("holds a lock")
        error.lock = threading.Lock()
        raise error

    def given(x):
        raise ValueError("given a lock", threading.Lock())

    for function, culprit in ((holds, r"the exception\.lock"), (given, r"the exception\.args\[1\]")):
        with pytest.raises(ac.RemoteError, match=f"Keep what cannot be pickled out of it .{culprit}"):
            moving.map(function, [1])
    with pytest.raises(ac.RemoteError, match="let the __reduce__ of its class"):
        moving.map(on.raise_stubborn, range(10))


def test_a_lambda_that_cannot_travel_is_named_by_its_line(moving):
    lock = threading.Lock()
    function = lambda x: (lambda y: lock)(x)
    line = function.__code__.co_firstlineno
    with pytest.raises(ac.Unpicklable, match=rf"<lambda>` \(line {line} of test_errors_teach.py\)"):
        moving.map(function, range(3))


def test_results_that_cannot_travel_keep_the_work_in_the_caller_where_the_engine_is_ours_to_choose():
    lock = threading.Lock()

    def work(x):
        on.burn(x, 0.002)
        return lock

    assert ac.map(work, range(100)) == [lock] * 100
    plan = ac.explain(work, range(10_000))
    assert plan.engine == "inline"
    assert plan.seconds["processes"] is None
    assert any("the result of item" in reason for reason in plan.reasons)


def test_explain_says_why_a_function_cannot_travel():
    lock = threading.Lock()

    def locked(x):
        with lock:
            return on.burn(x, 0.01)

    plan = ac.explain(locked, range(10_000))
    assert plan.engine == "inline"
    assert any("captured variable 'lock'" in reason for reason in plan.reasons)
    plan = ac.explain(locked, range(10_000), engine="processes")
    assert any("would fail" in reason and "'lock'" in reason for reason in plan.reasons)


def test_explain_takes_what_map_takes():
    plan = ac.explain(on.add, range(1000), range(500))
    assert "the 497 items that are left" in str(plan)
    assert ac.explain(on.add, range(1000), kwargs={"y": 1}).reasons
    assert "no items" in str(ac.explain(on.double, []))
    with pytest.raises(TypeError, match="list"):
        ac.explain(on.add, [1], iter([2]))
    with pytest.raises(TypeError, match="at least one iterable"):
        ac.explain(on.add)
    with pytest.raises(ZeroDivisionError):
        ac.explain(lambda x: 1 // x, [0])


NO_LARGE_FILES = """
import resource
import allcores as ac

resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
try:
    ac.map(abs, [1], engine="processes")
except ac.StartError as error:
    print(error)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of Linux")
def test_what_the_system_refuses_is_told_with_its_own_remedy():
    ran = subprocess.run([sys.executable, "-c", NO_LARGE_FILES], capture_output=True, text=True, timeout=60)
    assert "File too large. Raise `ulimit -f`" in ran.stdout, ran


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EMFILE, "raise `ulimit -n`"), (errno.ENOMEM, "Free memory"), (None, "See what")],
)
def test_each_shortage_has_its_remedy(number, words):
    message = refusal(OSError(number, "no"), "use engine='threads'")
    assert words in message
    assert message.endswith("; or use engine='threads'.")
    assert number == errno.EMFILE or "ulimit -n" not in message


OUT_OF_DESCRIPTORS = """
import os, resource
import allcores as ac
import allcores.engines.threads, allcores.engines.processes

def work(x):
    return sum(range(300_000)) + x

expected = ac.map(work, range(20), engine="inline")
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
for free in range(0, 12):
    held = []
    try:
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        for descriptor in held[:free]:
            os.close(descriptor)
    try:
        assert ac.map(work, range(20)) == expected
        for engine in ("threads", "processes"):
            try:
                assert ac.map(work, range(20), engine=engine, n_jobs=2) == expected
            except ac.StartError as error:
                assert "ulimit -n" in str(error) or "engine=" in str(error), error
    finally:
        for descriptor in held[free:]:
            os.close(descriptor)
    ac.shutdown()
print("done")
"""


def test_a_lack_of_descriptors_is_an_error_of_ours_and_none_where_the_engine_is_ours_to_choose():
    done = subprocess.run(
        [sys.executable, "-c", OUT_OF_DESCRIPTORS], capture_output=True, text=True, timeout=50
    )
    assert done.stdout == "done\n", done.stderr
