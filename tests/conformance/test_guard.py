"""Writes that would be lost: told, refused or allowed, as the option says; and what is never lost."""

import contextlib
import io
import itertools
import operator
import os
import sqlite3
import warnings

import pytest

import allcores as ac
from allcores.guard.other_interpreter import hashes_differ

from . import functions as on


def collecting(directory=None, seconds=0.0):
    """A function that writes to what it captured, and the list that it writes to."""
    found = []

    def collect(x):
        if directory is not None:
            on.touch(directory, x)
        on.burn(x, seconds)
        found.append(x)
        return x

    return collect, found


def moves_to_processes(way):
    return way.options.get("engine") == "processes"


@pytest.mark.parametrize("writes", ["warn", "allow", "error"])
def test_an_engine_that_shares_memory_takes_writes_without_a_word(staying, writes):
    function, found = collecting()
    assert staying.map(function, range(20), writes=writes if staying.name != "auto" else "warn") == list(
        range(20)
    )
    assert sorted(found) == list(range(20))


def test_processes_obey_and_warn(moving):
    function, found = collecting()
    with pytest.warns(ac.LostWriteWarning, match=r"captured variable 'found': found\.append"):
        assert moving.map(function, range(20)) == list(range(20))
    assert found == []


def test_processes_are_silent_where_writes_are_allowed(moving):
    function, found = collecting()
    assert moving.map(function, range(20), writes="allow") == list(range(20))
    assert found == []


def test_processes_refuse_before_anything_runs(moving, tmp_path):
    function, found = collecting(str(tmp_path))
    with pytest.raises(ac.LostWriteError, match=r"found\.append"):
        moving.map(function, range(20), writes="error")
    assert os.listdir(tmp_path) == []
    assert found == []


def test_a_refusal_is_an_error_of_ours(moving):
    function, _ = collecting()
    with pytest.raises(ac.AllcoresError):
        moving.map(function, range(3), writes="error")
    with pytest.raises(RuntimeError):
        moving.map(function, range(3), writes="error")


def test_a_word_that_means_nothing_is_refused(way):
    with pytest.raises(ValueError, match="'warn', 'allow' or 'error'"):
        way.map(abs, [1], writes="never")


def test_honest_functions_run_without_a_word_whatever_is_asked(way):
    for writes in ("warn", "allow", "error"):
        assert way.map(on.double, range(20), writes=writes) == [2 * x for x in range(20)]
        assert way.par(range(20), writes=writes).map(on.double).filter(on.is_even).sum() == 380


def test_work_that_would_move_stays_and_every_write_arrives():
    function, found = collecting(seconds=0.004)
    with pytest.warns(ac.LostWriteWarning):
        assert ac.map(function, range(200), n_jobs=2) == list(range(200))  # surely worth a start
    assert found == list(range(200))


def test_work_that_waits_stays_too():
    found = []

    def wait(x):
        on.nap(x, 0.01)
        found.append(x)

    with pytest.warns(ac.LostWriteWarning):
        ac.map(wait, range(30))
    assert found == list(range(30))


def test_auto_moves_where_writes_are_allowed():
    def collect(x, into=[]):  # noqa: B006
        on.burn(x, 0.01)
        into.append(x)
        return os.getpid()

    plan = ac.explain(collect, range(400), n_jobs=2, writes="allow")
    assert plan.engine in ("processes", "threads"), plan  # threads: so busy a machine that it seems to wait


def test_auto_refuses_before_anything_runs(tmp_path):
    function, _ = collecting(str(tmp_path))
    with pytest.raises(ac.LostWriteError):
        ac.map(function, range(20), writes="error")
    assert os.listdir(tmp_path) == []


def test_explain_names_the_write_and_does_not_warn():
    function, _ = collecting(seconds=0.01)
    plan = ac.explain(function, range(400), n_jobs=2)
    assert plan.engine == "inline"
    assert "no processes: the function writes to the captured variable 'found'" in str(plan)
    assert "found.append" in str(ac.explain(function, range(400), engine="processes"))


def test_the_warning_stands_at_the_users_line_names_the_write_and_the_remedy():
    function, _ = collecting()
    with pytest.warns(ac.LostWriteWarning) as caught:
        ac.map(function, range(20), engine="processes", n_jobs=2)
    (warning,) = caught
    assert warning.filename == __file__
    with open(__file__) as file:
        lines = file.readlines()
    assert 'engine="processes"' in lines[warning.lineno - 1]
    text = str(warning.message)
    line = int(text.partition(f"({__file__}:")[2].partition(")")[0])
    assert "found.append(x)" in lines[line - 1]
    assert 'writes="allow"' in text
    assert "reduce" in text


def test_a_stream_warns_once_at_the_line_that_takes_from_it():
    function, _ = collecting()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert list(ac.par(range(50), engine="processes", n_jobs=2).map(function)) == list(range(50))
    assert [each.filename for each in caught] == [__file__]


def test_a_warning_that_is_made_an_error_starts_nothing(moving, tmp_path):
    function, _ = collecting(str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ac.LostWriteWarning):
            moving.map(function, range(20))
    assert os.listdir(tmp_path) == []


def test_steps_of_a_fold_are_looked_at(moving):
    seen = []

    def step(total, x):
        seen.append(x)
        return total + x

    with pytest.raises(ac.LostWriteError, match=r"seen\.append"):
        moving.par(range(20), writes="error").fold(int, step, operator.add)


def test_a_fold_may_fill_its_own_accumulator(moving):
    def step(found, x):
        found.append(x)
        return found

    def merge(left, right):
        left.extend(right)
        return left

    items = moving.par(range(50), writes="error").fold(list, step, merge)
    assert items == list(range(50))


def test_an_item_that_is_changed_in_place_is_found_where_it_travels(moving):
    with pytest.raises(ac.LostWriteError, match="item"):
        moving.map(on.append, [[1], [2]], writes="error")


def test_what_a_stage_before_made_may_be_changed(moving):
    stream = moving.par(range(5), writes="error").map(lambda x: [x]).map(on.append)
    assert stream.collect() == [2] * 5


@pytest.mark.parametrize("engine", ["auto", "processes"])
@pytest.mark.parametrize("seconds", [0.0, 0.004, 0.03])
def test_a_generator_that_fills_one_buffer_again_and_again_gives_the_loops_answer(engine, seconds):
    def items():
        buffer = bytearray(1)
        for x in range(40):
            buffer[0] = x
            yield buffer

    def read(buffer):
        on.burn(0, seconds)
        return buffer[0]

    assert ac.map(read, items(), engine=engine, n_jobs=2) == list(range(40))


def test_a_buffer_filled_again_is_not_shared_by_threads_that_auto_chose():
    def items():
        buffer = bytearray(1)
        for x in range(20):
            buffer[0] = x
            yield buffer

    def read(buffer):
        on.nap(0, 0.02)
        return buffer[0]

    assert ac.map(read, items()) == list(range(20))


def test_estimators_that_the_loop_leaves_fitted_are_all_fitted():
    ensemble = pytest.importorskip("sklearn.ensemble")
    rows = [[float(i), float(i % 3)] for i in range(120)]
    y = [i % 2 for i in range(120)]
    models = [ensemble.RandomForestClassifier(10, max_depth=depth, random_state=0) for depth in range(1, 9)]
    with pytest.warns(ac.LostWriteWarning, match=r"sklearn\.base\.clone"):
        ac.map(lambda model: model.fit(rows, y).score(rows, y), models, n_jobs=2)
    assert all(hasattr(model, "estimators_") for model in models)


def test_an_estimator_that_is_cloned_for_each_item_is_no_loss(moving):
    base = pytest.importorskip("sklearn.base")
    linear = pytest.importorskip("sklearn.linear_model")
    rows = [[float(i), float(i % 3)] for i in range(20)]
    y = [i % 2 for i in range(20)]
    model = linear.Ridge()

    def score(alpha):
        return base.clone(model).set_params(alpha=alpha).fit(rows, y).score(rows, y)

    assert len(moving.map(score, [0.1, 1.0, 10.0], writes="error")) == 3


def test_an_estimator_that_each_item_fits_again_is_found_where_it_travels(moving):
    linear = pytest.importorskip("sklearn.linear_model")
    model = linear.Ridge()
    with pytest.raises(ac.LostWriteError, match=r"captured variable 'model': model\.fit.*clone"):
        moving.map(lambda x: float(model.fit([[x], [1.0]], [0.0, 1.0]).coef_[0]), [1.5, 2.5], writes="error")


# -- what threads share, and what another interpreter sees otherwise ------------------------------------


def test_items_that_wait_in_directories_of_their_own_do_not_change_each_others(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    places = [str(tmp_path / str(x)) for x in range(20)]
    for place in places:
        os.mkdir(place)
        on.touch(place, os.path.basename(place))

    def listed(place):
        os.chdir(place)
        on.nap(0, 0.01)
        return os.listdir(".")

    loop = [[os.path.basename(place)] for place in places]
    assert ac.map(listed, places) == loop
    plan = ac.explain(listed, places * 20)
    assert plan.engine != "threads"
    assert "no threads: os.chdir sets the working directory" in str(plan)


def test_items_that_wait_may_redirect_their_output():
    def written(x):
        with contextlib.redirect_stdout(io.StringIO()) as output:
            print(x)
            on.nap(0, 0.005)
            print(x)
        return output.getvalue()

    assert ac.map(written, range(20)) == [f"{x}\n{x}\n" for x in range(20)]


def test_items_that_wait_for_one_connection_wait_for_each_other():
    def ask(x):
        on.nap(0, 0.005)
        return connection.execute("select ?", (x,)).fetchone()[0]

    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        assert ac.map(ask, range(20)) == list(range(20))
        assert "'connection' is a sqlite3.Connection" in str(ac.explain(ask, range(400)))


RATE = 3
MISSING = object()


def looked_up():
    return lambda x: (on.burn(0, 0.01), eval("RATE * x", None, {"x": x}))[1]


def hashed():
    return lambda x: (on.burn(0, 0.01), hash(f"{x}"))[1]


def is_missing():
    return lambda x: (on.burn(0, 0.01), x is MISSING)[1]


def or_missing():
    return lambda x: (on.burn(0, 0.01), MISSING if x is None else x)[1]


@pytest.mark.parametrize(
    ("function", "items", "reason"),
    [
        (looked_up(), range(100), "eval finds other names"),
        (hashed(), range(100), "hash of str and bytes differs"),
        (is_missing(), [MISSING, 3] * 50, "an item that is 'MISSING'"),
        (or_missing(), [None, 3] * 50, "'MISSING', which it may return"),
    ],
    ids=["names", "hash", "sentinel", "returned sentinel"],
)
def test_what_another_interpreter_would_see_otherwise_is_seen_here(function, items, reason):
    assert ac.map(function, items, n_jobs=2) == [function(x) for x in items]
    plan = ac.explain(function, list(items) * 4, n_jobs=2)
    if reason.startswith("hash") and not hashes_differ():
        return
    assert plan.engine != "processes"
    assert f"no processes: {reason}" in str(plan)


def test_numbers_that_are_drawn_from_one_iterator_are_the_loops():
    numbers = itertools.count()

    def numbered(x):
        on.burn(x, 0.004)
        return x, next(numbers)

    with pytest.warns(ac.LostWriteWarning, match=r"captured variable 'numbers': next\(numbers\)"):
        assert ac.map(numbered, range(60), n_jobs=2) == [(x, x) for x in range(60)]


def test_what_items_write_to_a_text_in_memory_is_there_in_order():
    text = io.StringIO()

    def write(x):
        on.nap(x, 0.005)
        text.write(f"{x} ")

    with pytest.warns(ac.LostWriteWarning, match=r"captured variable 'text': text\.write"):
        ac.map(write, range(30))
    assert text.getvalue() == "".join(f"{x} " for x in range(30))
