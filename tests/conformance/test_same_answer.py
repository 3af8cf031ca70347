"""The same answer: order, the earliest exception, its type and causes, pristine arguments."""

import functools
import operator
import traceback

import pytest

import allcores as ac

from . import functions as on


def failing_after(count, error):
    yield from range(count)
    raise error


def test_the_exception_of_the_failing_item_is_raised(way):
    with pytest.raises(ValueError, match="bad 7"):
        way.map(functools.partial(on.fail_at, {7}), range(30))


def test_the_earliest_of_several_exceptions_is_raised(way):
    for _ in range(5):
        with pytest.raises(ValueError, match="bad 7"):
            way.map(functools.partial(on.fail_at, {7, 8, 9, 20, 29}), range(30))


def test_the_earliest_exception_wins_even_when_a_later_item_fails_first(way, tmp_path):
    with pytest.raises(ValueError, match="3"):
        way.map(functools.partial(on.fail_late, str(tmp_path), way.parallel), range(30), chunksize=1)


def test_a_stream_gives_everything_before_the_failing_item(way):
    seen = []
    with pytest.raises(ValueError, match="bad 12"):
        for value in way.par(range(30)).map(functools.partial(on.fail_at, {12, 13})):
            seen.append(value)
    assert seen == [2 * x for x in range(12)]


def test_a_reduction_raises_the_earliest_exception(way):
    stream = way.par(range(2000)).map(functools.partial(on.fail_at, {900, 1500}))
    with pytest.raises(ValueError, match="bad 900"):
        stream.sum()


def test_nothing_behind_a_failure_is_run_to_no_end(way, tmp_path):
    """Far behind the failing item nothing is started any more."""

    def function(x):
        on.touch(str(tmp_path), x)
        return on.burn(x, 0.001) if x else 1 / x

    with pytest.raises(ZeroDivisionError):
        way.map(function, range(2000))
    assert len(on.attempts(str(tmp_path))) < 1500


def test_a_failing_input_raises_after_all_results_before_it(way):
    seen = []
    with pytest.raises(LookupError, match="input"):
        for value in way.par(failing_after(25, LookupError("input"))).map(on.double):
            seen.append(value)
    assert seen == [2 * x for x in range(25)]


def test_a_failing_input_raises_in_map_too(way):
    with pytest.raises(LookupError, match="input") as caught:
        way.map(on.double, failing_after(25, LookupError("input")))
    assert ac.partial(caught.value) == {x: 2 * x for x in range(25)}


def test_a_failing_item_wins_over_a_later_failing_input(way):
    with pytest.raises(ValueError, match="bad 3"):
        way.map(functools.partial(on.fail_at, {3}), failing_after(25, LookupError("input")))


def test_a_failing_input_wins_over_nothing(way):
    with pytest.raises(LookupError, match="input"):
        way.map(on.double, failing_after(0, LookupError("input")))


def test_stop_iteration_in_a_function_is_an_error_like_any_other(way):
    with pytest.raises((StopIteration, RuntimeError)):
        way.map(lambda x: next(iter(())), range(3))


def test_system_exit_is_raised_again(way):
    with pytest.raises(SystemExit) as caught:
        way.map(on.leave, range(10))
    assert caught.value.code == 7
    assert way.map(on.double, range(10)) == [2 * x for x in range(10)]


def test_a_users_exception_keeps_its_type_and_attributes(way):
    with pytest.raises(on.CustomError) as caught:
        way.map(on.raise_custom_from, range(10))
    assert caught.value.args == ("five", 42)
    assert caught.value.code == 42


def test_a_users_exception_keeps_its_own_cause(way):
    with pytest.raises(on.CustomError) as caught:
        way.map(on.raise_custom_from, range(10))
    assert type(caught.value.__cause__) is KeyError
    assert caught.value.__cause__.args == ("missing",)


def test_a_note_says_the_index(way):
    with pytest.raises(on.CustomError) as caught:
        way.map(on.raise_custom_from, range(10))
    assert any("5" in note for note in getattr(caught.value, "__notes__", []))


def test_the_remote_traceback_stands_at_the_end_of_the_chain(moving):
    with pytest.raises(on.CustomError) as caught:
        moving.map(on.raise_custom_from, range(10))
    last = caught.value
    while last.__cause__ is not None:
        last = last.__cause__
    assert type(last) is ac.RemoteTraceback
    assert "in raise_custom_from" in str(last)
    assert "raise CustomError" in str(last)
    printed = "".join(traceback.format_exception(caught.value))
    assert (
        printed.index("RemoteTraceback")
        < printed.index("KeyError: 'missing'")
        < printed.rindex("CustomError")
    )


def test_the_traceback_shows_the_users_line(way):
    with pytest.raises(ValueError) as caught:
        way.map(functools.partial(on.fail_at, {7}), range(30))
    assert "raise ValueError" in "".join(traceback.format_exception(caught.value))


def test_an_exception_with_a_context_keeps_it(way):
    def function(x):
        try:
            return 1 / x
        except ZeroDivisionError:
            raise LookupError("in its place")  # noqa: B904

    with pytest.raises(LookupError, match="in its place") as caught:
        way.map(function, [1, 0])
    assert type(caught.value.__context__) is ZeroDivisionError


def test_notes_of_the_user_stay(way):
    def function(x):
        error = ValueError("noted")
        error.add_note("look here")
        raise error

    with pytest.raises(ValueError, match="noted") as caught:
        way.map(function, [1])
    assert "look here" in caught.value.__notes__


def test_groups_of_exceptions_arrive_as_groups(way):
    def function(x):
        raise ExceptionGroup("several", [ValueError(1), TypeError(2)])

    with pytest.raises(ExceptionGroup) as caught:
        way.map(function, [1])
    assert [type(error) for error in caught.value.exceptions] == [ValueError, TypeError]


def test_an_exception_class_made_in_a_function_is_the_callers_class(way):
    class LocalError(Exception):
        pass

    def function(x):
        raise LocalError(x)

    with pytest.raises(LocalError):
        way.map(function, [1])


def test_a_result_of_a_class_made_in_a_function_is_of_the_callers_class(way):
    class Point:
        made = 0

        def __init__(self, x):
            self.x = x

    Point.made = 5
    results = way.map(lambda x: Point(x), range(4))
    assert all(type(each) is Point for each in results)
    assert [each.x for each in results] == [0, 1, 2, 3]
    assert Point.made == 5


def test_items_may_be_of_a_class_made_in_a_function(way):
    class Point:
        def __init__(self, x):
            self.x = x

    assert way.map(lambda point: point.x, [Point(1), Point(2)]) == [1, 2]


def test_each_task_sees_its_arguments_pristine(moving):
    shared = [1, 2]
    assert moving.map(on.append, [shared] * 50, writes="allow") == [3] * 50
    assert shared == [1, 2]


def test_a_task_that_is_tried_again_sees_its_arguments_pristine(moving, tmp_path):
    def function(items):
        items.append(0)
        return on.attempt(str(tmp_path), 1, ValueError, items[0]) + len(items)

    assert moving.map(function, [[1], [2]], retries=1, writes="allow") == [3, 4]


def test_results_do_not_share_what_the_function_reuses(moving):
    buffer = []

    def function(x):
        buffer.append(x)
        return list(buffer)[-1:]

    assert moving.map(function, range(20), writes="allow") == [[x] for x in range(20)]


def test_equal_results_of_different_types_stay_apart(way):
    results = way.map(lambda x: x, [1, 1.0, True, "1", b"1", None])
    assert [type(each) for each in results] == [int, float, bool, str, bytes, type(None)]


def test_objects_with_slots_travel(way):
    assert way.map(operator.methodcaller("doubled"), [on.Slotted(x) for x in range(10)]) == [
        on.Slotted(2 * x) for x in range(10)
    ]


def test_nested_and_odd_values_arrive_equal(way):
    items = [
        {1: (2, [3, {4}])},
        float("inf"),
        -0.0,
        10**400,
        "\ud800",
        b"\0",
        frozenset({1}),
        ...,
        range(3),
        slice(1),
    ]
    assert repr(way.map(lambda x: x, items)) == repr(items)


def test_arrays_arrive_equal_and_writable(way):
    numpy = pytest.importorskip("numpy")
    items = [numpy.arange(100_000) * k for k in range(4)]
    results = way.map(lambda array: array + 1, items)
    for item, result in zip(items, results, strict=True):
        assert (result == item + 1).all()
        result[0] = 5


def test_workers_without_a_seed_do_not_repeat_each_other(moving, tmp_path):
    import random

    def draw(x):
        on.meet(str(tmp_path), 2, x)
        return random.random()

    with pytest.warns(ac.RandomStateWarning, match="write seed=1"):
        results = moving.map(draw, range(2), chunksize=1)
    assert len(set(results)) == 2


def test_the_callers_world_travels(way, tmp_path, monkeypatch):
    import os
    import sys

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALLCORES_TEST_WORD", "hello")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["program", "--flag"])
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + 17)
    try:
        seen = way.map(
            lambda x: (
                os.getcwd(),
                os.environ["ALLCORES_TEST_WORD"],
                sys.path[0],
                sys.argv,
                sys.getrecursionlimit(),
            ),
            range(2),
        )
    finally:
        sys.setrecursionlimit(limit)
    assert seen == [(str(tmp_path), "hello", str(tmp_path), ["program", "--flag"], limit + 17)] * 2


def test_a_changed_world_is_seen_by_the_next_call(way, monkeypatch):
    import os

    read = functools.partial(os.environ.get, "ALLCORES_TEST_WORD")
    for word in ("one", "two"):
        monkeypatch.setenv("ALLCORES_TEST_WORD", word)
        assert way.map(read, [None]) == [word]


def test_a_changed_closure_is_seen_by_the_next_call(way):
    factor = 1

    def scale(x):
        return factor * x

    for factor in (2, 3):
        assert way.map(scale, range(5)) == [factor * x for x in range(5)]


def test_a_reloaded_module_is_never_stale(way, tmp_path, monkeypatch):
    import importlib
    import sys

    name = f"edited_{way.name}"
    path = tmp_path / f"{name}.py"
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    path.write_text("def f(x):\n    return x + 1\n")
    module = importlib.import_module(name)
    assert way.map(module.f, range(3)) == [1, 2, 3]
    path.write_text("def f(x):\n    return x + 1000\n")
    module = importlib.reload(module)
    assert way.map(module.f, range(3)) == [1000, 1001, 1002]
    del sys.modules[name]
