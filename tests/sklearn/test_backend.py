"""The joblib backend: what joblib asks of any, and what ours promises beyond."""

import functools
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
from multiprocessing import TimeoutError as JoblibTimeoutError

import joblib
import numpy as np
import pytest
import sklearn
from joblib import Parallel, delayed, parallel_config
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import linear_kernel
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.svm import SVC

import allcores as ac
import allcores.sklearn
from allcores.guard.process_wide import set_by
from allcores.processes.interpreter import wanted_imports
from allcores.runtime.priors import prior_of
from allcores.sklearn import calls, durations
from allcores.sklearn.backend import AllcoresBackend
from allcores.tasks.task import Task

pytestmark = pytest.mark.usefixtures("our_backend")


def square(x):
    return x * x


def pid(_):
    return os.getpid()


def test_results_come_in_order():
    assert Parallel(n_jobs=2)(delayed(square)(x) for x in range(100)) == [x * x for x in range(100)]


def test_tasks_may_be_lambdas_and_closures(processes):
    y = 5
    assert Parallel(n_jobs=2)(delayed(lambda x: x + y)(x) for x in range(5)) == [5, 6, 7, 8, 9]


def test_no_tasks_are_an_empty_list():
    assert Parallel(n_jobs=2)([]) == []


def test_small_jobs_run_where_they_are():
    assert set(Parallel(n_jobs=2)(delayed(pid)(x) for x in range(20))) == {os.getpid()}


def test_zero_jobs_are_refused():
    with pytest.raises(ValueError, match="n_jobs == 0"):
        Parallel(n_jobs=0)([])


def test_it_is_the_default_between_install_and_uninstall():
    before = joblib.parallel.DEFAULT_BACKEND
    allcores.sklearn.install()
    allcores.sklearn.install()
    try:
        assert joblib.parallel.DEFAULT_BACKEND == "allcores"
    finally:
        allcores.sklearn.uninstall()
    allcores.sklearn.uninstall()
    assert before == joblib.parallel.DEFAULT_BACKEND


# -- where tasks run -----------------------------------------------------------------------------------


def thread(_):
    return threading.get_ident(), os.getpid()


@pytest.mark.parametrize("hint", [{"prefer": "threads"}, {"require": "sharedmem"}], ids=["prefer", "require"])
def test_threads_are_used_where_they_are_asked_for(hint):
    seen = Parallel(n_jobs=2, **hint)(delayed(thread)(x) for x in range(4))
    assert {process for _, process in seen} == {os.getpid()}
    assert threading.get_ident() not in {ident for ident, _ in seen}


@pytest.mark.parametrize(
    ("estimator", "in_threads"),
    [(SVC(), True), (SVC(kernel=linear_kernel), False), (LogisticRegression(), False)],
    ids=["in the table", "not as it is set", "not in it"],
)
def test_fits_of_clones_run_in_threads_if_the_table_has_them(estimator, in_threads, monkeypatch):
    monkeypatch.setattr(durations, "FEW_VALUES", 0)
    seen = set()
    run = calls.run_calls_in_thread

    def noting(*args):
        seen.add(threading.get_ident())
        return run(*args)

    monkeypatch.setattr(calls, "run_calls_in_thread", noting)
    X, y = load_iris(return_X_y=True)
    before = list(warnings.filters)
    for kind in (OneVsRestClassifier, OneVsOneClassifier):
        expected = kind(clone(estimator)).fit(X, y).decision_function(X)
        found = kind(clone(estimator), n_jobs=2).fit(X, y).decision_function(X)
        np.testing.assert_array_equal(found, expected)
    labels = np.stack([y == 0, y == 1], axis=1)
    expected = MultiOutputClassifier(clone(estimator)).fit(X, labels).predict(X)
    found = MultiOutputClassifier(clone(estimator), n_jobs=2).fit(X, labels).predict(X)
    np.testing.assert_array_equal(found, expected)
    assert bool(seen) == in_threads
    assert threading.get_ident() not in seen
    assert warnings.filters == before


def test_a_forest_grows_in_threads(processes):
    X, y = np.random.default_rng(0).normal(size=(50, 3)), np.arange(50) % 2
    forest = RandomForestClassifier(10, n_jobs=2, random_state=0).fit(X, y)
    alone = RandomForestClassifier(10, random_state=0).fit(X, y)
    np.testing.assert_array_equal(forest.predict_proba(X), alone.predict_proba(X))


def test_workers_stay_for_the_next_call_also_with_another_number_of_jobs(processes):
    seen = [set(Parallel(n_jobs=n)(delayed(pid)(x) for x in range(20))) for n in (2, 3, 2)]
    assert seen[0] & seen[1]
    assert seen[1] & seen[2]
    assert os.getpid() not in seen[0]


def nested(depth):
    backend, _ = joblib.parallel.get_active_backend()
    jobs = joblib.effective_n_jobs(-1)
    below = [] if depth == 0 else Parallel(n_jobs=-1)(delayed(nested)(depth - 1) for _ in range(2))[0]
    return [(type(backend).__name__, backend.nesting_level, jobs), *below]


def test_calls_inside_tasks_share_the_cores_of_their_task(processes):
    with parallel_config(AllcoresBackend(cores=4)):
        seen = Parallel(n_jobs=2)(delayed(nested)(1) for _ in range(2))
    assert [[jobs for _, _, jobs in each] for each in seen] == [[2, 1]] * 2
    assert [[level for _, level, _ in each] for each in seen] == [[1, 2]] * 2


def inner_threads(_):
    import threadpoolctl

    return {each["num_threads"] for each in threadpoolctl.threadpool_info()}


def test_inner_threads_are_as_many_as_was_said(processes):
    with parallel_config("allcores", inner_max_num_threads=1):
        assert set.union(*Parallel(n_jobs=2)(delayed(inner_threads)(x) for x in range(2))) <= {1}


# -- what travels -------------------------------------------------------------------------------------


class Counted:
    """Counts, in this process, how often it is pickled."""

    times = 0

    def __reduce__(self):
        Counted.times += 1
        return Counted, ()


@pytest.mark.parametrize("return_as", ["list", "generator"])
def test_an_argument_of_many_tasks_travels_once(processes, monkeypatch, return_as):
    monkeypatch.setattr(Counted, "times", 0)
    data = Counted()
    kinds = Parallel(n_jobs=2, return_as=return_as)(delayed(isinstance)(data, Counted) for _ in range(50))
    assert list(kinds) == [True] * 50
    assert 1 <= Counted.times <= 3  # so many kinds of pickle are tried for a job, and none for a task


@pytest.mark.parametrize("size", [1000, 1_000_000], ids=["small", "large"])
def test_arrays_are_writable(processes, size):
    def write(x, value):
        x[0] = value
        return float(x[0])

    x = np.zeros(size)
    assert Parallel(n_jobs=2)(delayed(write)(x, i) for i in range(4)) == [0.0, 1.0, 2.0, 3.0]
    assert x[0] == 0


def test_a_task_does_not_see_what_another_did_to_their_arguments(processes):
    def change(numbers, array):
        numbers.append(1)
        array += 1
        return len(numbers), array.tolist()

    seen = (
        Parallel(n_jobs=2)(delayed(change)(numbers, array) for _ in range(8))
        if ((numbers := [0]), (array := np.zeros(2)))
        else None
    )
    assert seen == [(2, [1.0, 1.0])] * 8


def config_and_filters():
    try:
        warnings.warn("now", FutureWarning, stacklevel=1)
    except FutureWarning:
        return sklearn.get_config()["assume_finite"], "raised"
    return sklearn.get_config()["assume_finite"], "passed"


@pytest.mark.parametrize("engine", ["processes", "auto"])
def test_the_configuration_and_the_warning_filters_of_scikit_learn_travel(engine):
    from sklearn.utils.parallel import Parallel as SklearnParallel
    from sklearn.utils.parallel import delayed as sklearn_delayed

    with ac.config(engine=engine), sklearn.config_context(assume_finite=True), warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        seen = SklearnParallel(n_jobs=2)(sklearn_delayed(config_and_filters)() for _ in range(4))
    assert seen == [(True, "raised")] * 4


# -- errors and ends ----------------------------------------------------------------------------------


class OwnError(Exception):
    pass


def fail_at(x):
    if x >= 3:
        raise OwnError(x)
    return x


@pytest.mark.parametrize("return_as", ["list", "generator"])
def test_an_exception_keeps_its_type(processes, return_as):
    with pytest.raises(OwnError):
        list(Parallel(n_jobs=2, return_as=return_as)(delayed(fail_at)(x) for x in range(5)))
    assert Parallel(n_jobs=2)(delayed(square)(x) for x in range(3)) == [0, 1, 4]


def test_what_the_input_raises_arrives():
    def tasks():
        yield delayed(square)(1)
        raise OwnError("input")

    with pytest.raises(OwnError, match="input"):
        Parallel(n_jobs=2)(tasks())


@pytest.mark.parametrize("pre_dispatch", [3, "2 * n_jobs"])
def test_the_input_is_not_read_far_ahead(pre_dispatch):
    """An endless input would be read for ever by whoever takes all of it first."""
    taken = []

    def tasks():
        while True:
            taken.append(len(taken))
            yield delayed(fail_at)(min(len(taken) // 1000, 3))

    with pytest.raises(OwnError):
        Parallel(n_jobs=2, pre_dispatch=pre_dispatch)(tasks())
    assert len(taken) < 100_000


@pytest.mark.parametrize("batch_size", [1, 2])
def test_no_more_is_read_ahead_than_was_said(processes, batch_size):
    taken = []

    def tasks():
        for x in range(12):
            taken.append(x)
            yield delayed(square)(x)

    parallel = Parallel(n_jobs=2, pre_dispatch=4, batch_size=batch_size)
    register = joblib.parallel.BatchCompletionCallBack._retrieve_result
    ahead = []

    def noting(self, out):
        ahead.append(len(taken) - batch_size * len(ahead))
        return register(self, out)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joblib.parallel.BatchCompletionCallBack, "_retrieve_result", noting)
        assert parallel(tasks()) == [x * x for x in range(12)]
    assert max(ahead) <= 4 + batch_size


def test_a_generator_gives_results_as_they_are_asked_for():
    results = Parallel(n_jobs=2, return_as="generator")(delayed(square)(x) for x in range(10))
    assert [next(results), next(results)] == [0, 1]
    assert list(results) == [x * x for x in range(2, 10)]


def test_an_unordered_generator_gives_them_all():
    results = Parallel(n_jobs=2, return_as="generator_unordered")(delayed(square)(x) for x in range(10))
    assert sorted(results) == [x * x for x in range(10)]


def test_a_generator_that_is_dropped_stops_its_workers():
    results = Parallel(n_jobs=2, return_as="generator")(delayed(time.sleep)(s) for s in (0, *[30] * 5))
    next(results)
    began = time.monotonic()
    with pytest.warns(UserWarning, match="cancelled"):
        results.close()
    assert time.monotonic() - began < 20


def test_a_time_limit_stops_a_task():
    with pytest.raises(JoblibTimeoutError):
        Parallel(n_jobs=2, timeout=0.5)(delayed(time.sleep)(s) for s in (0, 30))


def kill_once(path, x):
    """Kills its own process the first time."""
    if x == 5 and not os.path.exists(path):
        with open(path, "w"):
            pass
        os.kill(os.getpid(), signal.SIGKILL)
    return x


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
@pytest.mark.parametrize("return_as", ["list", "generator"])
def test_a_killed_worker_costs_no_result(processes, tmp_path, return_as):
    path = str(tmp_path / "killed")
    results = Parallel(n_jobs=2, return_as=return_as)(delayed(kill_once)(path, x) for x in range(10))
    assert list(results) == list(range(10))
    assert os.path.exists(path)


def test_a_worker_that_dies_every_time_is_an_error(processes):
    with pytest.raises(ac.WorkerLost):
        Parallel(n_jobs=2)(delayed(os._exit)(3) for _ in range(2))


def test_a_managed_parallel_object_serves_several_calls():
    with Parallel(n_jobs=2) as parallel:
        assert parallel(delayed(square)(x) for x in range(3)) == [0, 1, 4]
        assert parallel(delayed(square)(x) for x in range(4)) == [0, 1, 4, 9]


def test_tasks_of_one_call_may_be_made_with_another_call():
    def tasks():
        for x in range(4):
            yield delayed(square)(Parallel(n_jobs=2)(delayed(square)(y) for y in (x, 1))[0])

    assert Parallel(n_jobs=2)(tasks()) == [0, 1, 16, 81]


def test_a_first_cross_validation_imports_nothing_of_scikit_learn_that_it_does_not_use():
    program = (
        "import sys, joblib, allcores.sklearn\n"
        "from sklearn.datasets import load_iris\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "from sklearn.model_selection import cross_val_score\n"
        "before = {name for name in sys.modules if name.startswith('sklearn.')}\n"
        "with joblib.parallel_config('allcores'):\n"
        "    cross_val_score(LogisticRegression(max_iter=5), *load_iris(return_X_y=True), n_jobs=2)\n"
        "print(*{name.split('.')[1] for name in sys.modules if name.startswith('sklearn.')}\n"
        "      - {name.split('.')[1] for name in before})\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert set(done.stdout.split()) <= {"compose", "pipeline"}, "these take 40 ms each"


def test_what_tasks_have_shown_is_known_of_tasks_of_the_same_kind_alone():
    def prior(function, *args):
        runner = calls.Runner(calls.run_calls, calls.kind_of((function, args, {})))
        return prior_of(Task((("map", functools.partial(runner, None, None)),)), (0, []))

    assert prior(max, 1, 2) is prior(max, 3, 4)
    assert prior(max, 1, 2) is not prior(min, 1, 2)
    assert prior(max, 1, 2) is not prior(max, "a", "b")


def test_what_runs_tasks_says_what_it_sets_and_which_modules_it_wants():
    runner = calls.Runner(calls.run_calls, "kind")
    assert "sets the warning filters" in set_by(runner)
    task, named = (
        Task((("map", functools.partial(each, None, None)),)) for each in (calls.run_calls, runner)
    )
    assert wanted_imports(named) == wanted_imports(task)
    assert pickle.loads(pickle.dumps(runner)).func is calls.run_calls
