"""Batches of fits that are recognised: the same results as stock scikit-learn's, and what they cost."""

import functools
import os
import pickle
import signal
import sys
import threading
import warnings

import numpy as np
import pytest
import sklearn
from joblib import parallel_config
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    validation_curve,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

import allcores as ac
import allcores.sklearn
from allcores.sklearn import compat, durations, fits, thread_safe, warmth
from allcores.sklearn.backend import AllcoresBackend
from allcores.sklearn.sharing import FitCall

X, y = load_iris(return_X_y=True)


pytestmark = pytest.mark.usefixtures("our_backend")


@pytest.fixture
def threads(monkeypatch):
    """Where fits run, as they begin, however short; no worker process was started yet, and none will be."""
    monkeypatch.setattr(durations, "SHORT_SECONDS", 0.0)
    monkeypatch.setattr(durations, "FEW_VALUES", 0)
    monkeypatch.setattr(warmth, "_warm", threading.Event())
    monkeypatch.setattr(warmth, "_held_up", {})
    monkeypatch.setattr(warmth, "_start", lambda function: None)
    seen = []
    run = fits.run_unit_in_thread

    def noting(*args):
        seen.append(threading.get_ident())
        return run(*args)

    monkeypatch.setattr(fits, "run_unit_in_thread", noting)
    return seen


@pytest.fixture
def recognised(monkeypatch):
    """The batches that were recognised."""
    batches = []
    run = fits.run

    def noting(calls, *args):
        batches.append(calls)
        return run(calls, *args)

    monkeypatch.setattr(fits, "run", noting)
    return batches


def but_times(results):
    return {key: value for key, value in results.items() if "_time" not in key}


def assert_same(results, expected):
    assert list(results) == list(expected)
    for key, value in but_times(results).items():
        np.testing.assert_array_equal(value, expected[key], err_msg=key)


def search(kind=GridSearchCV, estimator=None, grid=None, **options):
    grid = {"C": [0.1, 1.0, 10.0]} if grid is None else grid
    return kind(SVC() if estimator is None else estimator, grid, cv=4, **options)


@pytest.mark.parametrize("engine", ["auto", "processes", "inline"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"return_train_score": True, "scoring": ["accuracy", "f1_macro"], "refit": "accuracy"},
        {"estimator": GaussianNB(), "grid": {"var_smoothing": [1e-9, 1e-3]}},
        {"estimator": make_pipeline(StandardScaler(), SVC()), "grid": {"svc__C": [0.1, 1.0]}},
        {"estimator": DecisionTreeClassifier(random_state=0), "grid": {"max_depth": [1, 2, 3]}},
    ],
    ids=["plain", "several scores", "another class", "pipeline", "in threads"],
)
def test_a_search_has_the_results_of_stock(recognised, options, engine):
    expected = search(**options).fit(X, y)
    assert not recognised
    with ac.config(engine=engine):
        found = search(**options, n_jobs=2).fit(X, y)
    assert len(recognised) == 1
    assert_same(found.cv_results_, expected.cv_results_)
    assert found.best_params_ == expected.best_params_
    np.testing.assert_array_equal(found.predict(X), expected.predict(X))


def test_the_other_callers_have_the_results_of_stock(recognised):
    for n_jobs in (None, 2):
        run = functools.partial(
            learning_curve, SVC(), X, y, cv=3, n_jobs=n_jobs, shuffle=True, random_state=0
        )
        curves = [array.tolist() for array in run()]
        curves += [
            array.tolist()
            for array in validation_curve(
                SVC(), X, y, param_name="C", param_range=[0.1, 1], cv=3, n_jobs=n_jobs
            )
        ]
        scores = cross_val_score(SVC(), X, y, cv=5, n_jobs=n_jobs).tolist()
        whole = cross_validate(
            SVC(), X, y, cv=3, n_jobs=n_jobs, return_estimator=True, return_train_score=True
        )
        vectors = [each.support_.tolist() for each in whole["estimator"]]
        predicted = cross_val_predict(SVC(), X, y, cv=3, n_jobs=n_jobs).tolist()
        now = curves, scores, whole["train_score"].tolist(), vectors, predicted
        if n_jobs is None:
            expected = now
    assert now == expected
    assert len(recognised) == 4  # cross_val_predict makes other tasks


def test_nothing_of_a_search_stays_in_its_calls(recognised):
    """scikit-learn 1.9 hands every task the search and, by its context, all other tasks."""
    found = search(n_jobs=2).fit(X, y)
    assert not {"caller", "callback_ctx"} & {key for call in recognised[0] for key in call.options}
    assert found.cv_results_["mean_test_score"].shape == (3,)


def sent_bytes(calls):
    """What an average unit of these calls takes to travel."""
    found = fits.units([call._replace(X=None, y=None) for call in calls], workers=2)
    return sum(len(pickle.dumps(unit, 5)) for unit in found) / len(calls)


def test_the_bytes_of_a_task_do_not_grow_with_the_number_of_tasks(recognised):
    sizes = {}
    for n_iter in (20, 200):
        RandomizedSearchCV(
            DummyClassifier(),
            {"strategy": ["prior"], "constant": list(range(n_iter))},
            n_iter=n_iter,
            cv=2,
            n_jobs=2,
            random_state=0,
            refit=False,
        ).fit(X, y)
        sizes[n_iter] = sent_bytes(recognised.pop())
    assert sizes[200] < 1.05 * sizes[20]


class Mailed(np.ndarray):
    """An array that counts, in this process, how often it is pickled."""

    times = 0

    def __reduce_ex__(self, protocol):
        Mailed.times += 1
        return super().__reduce_ex__(protocol)


def test_the_data_travels_once(processes, monkeypatch):
    monkeypatch.setattr(Mailed, "times", 0)
    cross_val_score(GaussianNB(), X.view(Mailed), y, cv=20, n_jobs=2)
    assert 1 <= Mailed.times <= 3  # so many kinds of pickle are tried for a job, and none for a task


# -- faults ------------------------------------------------------------------------------------------


class Deadly(ClassifierMixin, BaseEstimator):
    """Kills the process that fits it, if that is a worker: the first time, or every time."""

    def __init__(self, path="", deadly=False, always=False):
        self.path = path
        self.deadly = deadly
        self.always = always

    def fit(self, X, y):
        if self.deadly and ac.worker_index() is not None and (self.always or not os.path.exists(self.path)):
            with open(self.path, "a") as file:
                file.write("x")
            os.kill(os.getpid(), signal.SIGKILL)
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.zeros(len(X), int)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_killed_worker_costs_nothing_but_its_task(processes, tmp_path):
    path = str(tmp_path / "killed")
    grid = {"deadly": [False, True, False, False]}
    expected = search(estimator=Deadly(), grid={"deadly": [False] * 4}).fit(X, y).cv_results_
    found = search(estimator=Deadly(path), grid=grid, n_jobs=2).fit(X, y).cv_results_
    assert os.path.getsize(path) >= 1
    np.testing.assert_array_equal(found["mean_test_score"], expected["mean_test_score"])


class Noting(ClassifierMixin, BaseEstimator):
    """Says which process fits it."""

    def __init__(self, alpha=0, path=None):
        self.alpha = alpha
        self.path = path

    def fit(self, X, y):
        if self.path is not None:
            with open(self.path, "a") as file:
                file.write(f"{os.getpid()} ")
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.alpha % 3)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_search_goes_on_when_a_worker_is_killed_from_outside(processes, tmp_path):
    path = tmp_path / "pids"
    path.touch()
    grid = {"alpha": list(range(100))}
    expected = search(estimator=Noting(), grid=grid, return_train_score=True).fit(X, y)
    killed = []

    def kill():
        while not (pids := path.read_text().split(" ")[:-1]):
            pass
        killed.append(int(pids[0]))
        os.kill(killed[0], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    found = search(estimator=Noting(path=str(path)), grid=grid, return_train_score=True, n_jobs=2).fit(X, y)
    thread.join()
    assert killed[0] != os.getpid()
    assert len(set(path.read_text().split())) >= 3  # two workers, and one in the place of the killed one
    assert_same(found.cv_results_, expected.cv_results_)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_fit_that_kills_every_worker_is_a_failing_fit(processes, tmp_path):
    path = str(tmp_path / "killed")
    grid = {"deadly": [False, True]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        with pytest.warns(FitFailedWarning, match="SIGKILL"):
            found = search(estimator=Deadly(path, always=True), grid=grid, n_jobs=2).fit(X, y)
    assert np.isnan(found.cv_results_["mean_test_score"]).tolist() == [False, True]
    assert os.path.getsize(path) == 4 * 3  # folds, tries
    with pytest.raises(ac.WorkerLost):
        search(estimator=Deadly(path, always=True), grid=grid, n_jobs=2, error_score="raise").fit(X, y)


class Picky(ClassifierMixin, BaseEstimator):
    def __init__(self, wrong=None):
        self.wrong = wrong

    def fit(self, X, y):
        if self.wrong:
            raise ValueError(f"wrong is {self.wrong}")
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.zeros(len(X), int)


@pytest.mark.parametrize("engine", ["auto", "processes"])
def test_a_failing_fit_is_scored_or_raised_as_scikit_learn_does(engine):
    grid = {"wrong": [None, 1, 2]}
    with ac.config(engine=engine):
        with pytest.warns((FitFailedWarning, UserWarning)):
            found = search(estimator=Picky(), grid=grid, n_jobs=2, error_score=-1.0).fit(X, y)
        assert (found.cv_results_["mean_test_score"] == -1).tolist() == [False, True, True]
        with pytest.raises(ValueError, match="wrong is 1"):
            search(estimator=Picky(), grid=grid, n_jobs=2, error_score="raise").fit(X, y)


# -- what is recognised, and where it runs ---------------------------------------------------------------


def test_a_search_that_is_watched_by_callbacks_runs_plainly(recognised):
    callback = pytest.importorskip("sklearn.callback")
    watched = search(n_jobs=2)
    if not hasattr(watched, "set_callbacks"):
        pytest.skip("this scikit-learn has no callbacks")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # an estimator inside that knows no callbacks
        watched.set_callbacks(callback.ProgressBar()).fit(X, y)
    assert recognised == []


def test_inside_a_task_fits_are_recognised_also_for_one_worker(recognised):
    """Work can be shared there as well; at the top n_jobs=1 stays what it is, the way to debug."""
    expected = search().fit(X, y)
    with parallel_config(AllcoresBackend(cores=1)):
        search(n_jobs=-1).fit(X, y)
    assert recognised == []
    with parallel_config(AllcoresBackend(nesting_level=1, cores=1)):
        assert_same(search(n_jobs=-1).fit(X, y).cv_results_, expected.cv_results_)
    assert len(recognised) == 1


def test_an_unknown_version_runs_plainly(recognised, monkeypatch):
    monkeypatch.setattr(compat, "why_not", lambda: "unknown")
    expected = search().fit(X, y)
    assert_same(search(n_jobs=2).fit(X, y).cv_results_, expected.cv_results_)
    assert recognised == []


def call_of(estimator, parameters=None):
    rows = np.arange(10)
    return FitCall(estimator, X, y, rows, rows, parameters, compat_scorer(), None, None, {"error_score": 0.0})


def compat_scorer():
    from sklearn.metrics import get_scorer

    return get_scorer("accuracy")


@pytest.mark.parametrize(
    ("estimator", "parameters", "expected"),
    [
        (SVC(), None, True),
        (SVC(), {"kernel": "precomputed"}, False),
        (SVC(random_state=np.random.RandomState(0)), None, False),
        (DecisionTreeClassifier(random_state=3), None, True),
        (DecisionTreeClassifier(), None, False),
        (DecisionTreeClassifier(random_state=3), {"random_state": None}, False),
        (LogisticRegression(), None, False),
        (make_pipeline(SVC()), None, False),
        (search(), None, True),
        (search(scoring=["accuracy", "f1_macro"], refit="accuracy"), None, True),
        (search(RandomizedSearchCV, grid={"C": loguniform(0.1, 10)}, random_state=0), None, True),
        (search(grid={"C": np.array([0.1, 1.0])}), None, True),
        (search(grid={"kernel": "rbf"}), None, True),  # scikit-learn will say what is wrong
        (search(RandomizedSearchCV, grid={"C": [1.0]}), None, False),
        (search(grid=[{"C": [1.0]}, {"kernel": ["rbf", "precomputed"]}]), None, False),
        (search(), {"estimator__C": 2.0}, False),
        (search(estimator=LogisticRegression()), None, False),
        (search(scoring=len), None, False),
        (search(scoring={"mine": len}, refit=False), None, False),
        (search(refit=len), None, False),
        (search(verbose=1), None, False),
        (GridSearchCV(SVC(), {"C": [1.0]}, cv=KFold(shuffle=True)), None, False),
    ],
)
def test_only_what_stands_in_the_table_runs_in_threads(estimator, parameters, expected):
    calls = [call_of(SVC()), call_of(estimator, parameters)]
    scorer = calls[0].scorer
    assert thread_safe.may_share_a_process([call._replace(scorer=scorer) for call in calls]) is expected


@pytest.mark.parametrize(("least_share", "fits_in_threads"), [(2.0, 12), (0.0, 24)])
def test_fits_of_the_table_run_in_threads_unless_they_keep_each_other_waiting(
    threads, monkeypatch, least_share, fits_in_threads
):
    monkeypatch.setattr(warmth, "COMPUTING_SHARE", least_share)
    expected = search().fit(X, y)
    assert_same(search(n_jobs=2).fit(X, y).cv_results_, expected.cv_results_)
    assert len(threads) == 12
    assert threading.get_ident() not in threads
    warmth._warm.set()
    assert_same(search(n_jobs=2).fit(X, y).cv_results_, expected.cv_results_)
    assert len(threads) == fits_in_threads


def test_fits_in_threads_leave_the_warning_filters_and_the_configuration_alone(threads):
    before = list(warnings.filters)
    with sklearn.config_context(assume_finite=True):
        search(n_jobs=2, grid={"C": [float(c) for c in range(1, 11)]}).fit(X, y)
        assert sklearn.get_config()["assume_finite"]
    assert len(threads) == 40
    assert warnings.filters == before


@pytest.mark.parametrize(
    ("seconds", "in_threads"), [(None, 0), (0.001, 0), (0.1, 12)], ids=["little data", "short", "long"]
)
def test_no_thread_is_started_for_fits_that_are_short(threads, monkeypatch, seconds, in_threads):
    monkeypatch.setattr(durations, "SHORT_SECONDS", 0.015)
    monkeypatch.setattr(durations, "FEW_VALUES", 20_000)
    monkeypatch.setattr(durations, "predicted", lambda calls: [seconds] * len(calls))
    expected = search().fit(X, y)
    threads.clear()
    assert_same(search(n_jobs=2).fit(X, y).cv_results_, expected.cv_results_)
    assert len(threads) == in_threads


def test_searches_of_the_table_run_in_threads_and_what_they_fit_in_the_same_ones(threads, monkeypatch):
    expected = cross_val_score(search(), X, y, cv=5)
    shown = []
    monkeypatch.setattr(warnings, "showwarning", lambda message, *_: shown.append(str(message)))
    before = list(warnings.filters)
    np.testing.assert_array_equal(cross_val_score(search(n_jobs=-1), X, y, cv=5, n_jobs=2), expected)
    assert len(threads) == 5 + 5 * 12
    assert threading.get_ident() not in threads
    assert len(set(threads)) <= 2
    assert warnings.filters == before
    assert not shown


def test_an_engine_that_was_asked_for_is_taken(threads, processes):
    search(n_jobs=2).fit(X, y)
    assert not threads


def test_after_a_long_call_in_threads_that_kept_each_other_waiting_processes_are_started(monkeypatch):
    monkeypatch.setattr(warmth, "_warm", threading.Event())
    monkeypatch.setattr(warmth, "_begun", threading.Event())
    monkeypatch.setattr(warmth, "_held_up", {})
    for seconds, share in [(0.01, 0.5), (0.5, 0.9)]:
        warmth.took_in_threads(seconds, SVC, share, fits.run_unit)
        assert not warmth._begun.is_set()
    warmth.took_in_threads(0.5, SVC, 0.5, fits.run_unit)
    assert warmth._warm.wait(30)
    assert warmth.prefers_processes(SVC)
    assert not warmth.prefers_processes(DecisionTreeClassifier)


def test_a_scorer_of_the_users_is_not_run_in_threads():
    call = call_of(SVC())
    assert thread_safe.may_share_a_process([call])
    assert not thread_safe.may_share_a_process([call._replace(scorer=lambda *_: 0.0)])


@pytest.mark.parametrize("name", [name for entry in thread_safe.TABLE for name in entry.names])
def test_the_table_names_classes_and_parameters_that_there_are(name):
    import importlib

    module, _, kind = name.rpartition(".")
    estimator = getattr(importlib.import_module(module), kind)()
    assert thread_safe.ENTRIES[name].needs.keys() <= {*estimator.get_params(), "verbose"}


def test_what_took_longest_goes_first(monkeypatch):
    monkeypatch.setattr(durations, "_seconds", {})
    calls = [call_of(SVC(), {"C": c}) for c in (1, 2, 3)]
    errands = [fits.Errand((index,), None) for index in range(3)]
    assert durations.longest_first(errands, calls) == errands
    durations.remember(
        durations.names_of(calls), [{"fit_error": None, "fit_time": seconds} for seconds in (1, 3, 2)]
    )
    order = [errand.indices[0] for errand in durations.longest_first(errands, calls)]
    assert order == [1, 2, 0]
    assert durations.predicted([*calls[:2], call_of(SVC(), {"C": 9})]) == [1.0, 3.0, None]
