"""Our searches: scikit-learn's, with a time limit, a bar, partial results and a plan."""

import inspect
import os
import pickle
import signal
import threading
import time
import warnings

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV as StockGridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import SVC

import allcores as ac
import allcores.sklearn
from allcores.sklearn import (
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
    durations,
)

X, y = load_iris(return_X_y=True)
KINDS = [GridSearchCV, RandomizedSearchCV, HalvingGridSearchCV, HalvingRandomSearchCV]
GRID = {"C": [0.1, 1.0, 10.0, 100.0]}


def made(kind, estimator=None, grid=None, **options):
    name = kind.__name__
    if name == "RandomizedSearchCV":
        options.setdefault("n_iter", 3)
    if name == "HalvingRandomSearchCV":
        options.setdefault("n_candidates", 4)
    if name != "GridSearchCV":
        options.setdefault("random_state", 0)
    return kind(SVC() if estimator is None else estimator, GRID if grid is None else grid, **options)


def assert_same(results, expected):
    assert list(results) == list(expected)
    for key, value in results.items():
        if "_time" not in key:
            np.testing.assert_array_equal(value, expected[key], err_msg=key)


@pytest.mark.parametrize("n_jobs", [None, 1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_search_has_the_results_of_its_namesake(kind, n_jobs):
    stock = kind.__mro__[2]
    assert stock.__module__.startswith("sklearn.")
    expected = made(stock, cv=3).fit(X, y)
    found = made(kind, cv=3, n_jobs=n_jobs).fit(X, y)
    assert_same(found.cv_results_, expected.cv_results_)
    assert found.best_params_ == expected.best_params_
    assert found.score(X, y) == expected.score(X, y)


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_are_scikit_learns_and_two_more(kind):
    search = made(kind, timeout=5, progress="trees")
    twin = clone(search)
    assert twin.get_params(deep=False).keys() - made(kind.__mro__[2]).get_params(deep=False).keys() == {
        "timeout",
        "progress",
    }
    assert (twin.timeout, twin.progress) == (5, "trees")
    assert twin.set_params(timeout=None).timeout is None
    assert type(pickle.loads(pickle.dumps(twin))) is kind
    assert "timeout" in inspect.signature(kind).parameters


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"timeout": "60"}, TypeError, "number of seconds"),
        ({"timeout": 0}, ValueError, "more than 0"),
        ({"progress": 3}, TypeError, "True or a label"),
    ],
)
def test_options_that_mean_nothing_are_refused_before_any_fit(options, error, match):
    with pytest.raises(error, match=match):
        GridSearchCV(None, {}, **options).fit(X, y)


def test_no_trace_of_the_search_stays_in_it():
    search = made(GridSearchCV, cv=3, n_jobs=2).fit(X, y)
    assert not [name for name in vars(search) if "allcores" in name]


class Slow(ClassifierMixin, BaseEstimator):
    """Never ends where it is asked to, and says when it began."""

    def __init__(self, ends=True, began=None):
        self.ends = ends
        self.began = began

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        while not self.ends:
            if self.began is not None:
                with open(self.began, "a"):
                    pass
            time.sleep(0.05)
        return self

    def predict(self, X):
        return np.zeros(len(X), int)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_fit_that_takes_too_long_is_a_failing_fit(n_jobs):
    search = GridSearchCV(Slow(), {"ends": [True, False]}, cv=2, n_jobs=n_jobs, timeout=2, error_score=-1.0)
    with pytest.warns(FitFailedWarning, match="TaskTimeout"):
        search.fit(X, y)
    assert search.cv_results_["mean_test_score"][1] == -1
    assert search.cv_results_["mean_test_score"][0] > 0
    assert search.cv_results_["mean_fit_time"][1] == 2


def test_a_fit_that_takes_too_long_is_an_error_where_errors_are_raised():
    with pytest.raises(ac.TaskTimeout):
        GridSearchCV(Slow(), {"ends": [False]}, cv=2, timeout=1, error_score="raise").fit(X, y)


def test_the_bar_counts_fits_and_shows_the_best_score(capsys):
    made(
        GridSearchCV, estimator=GaussianNB(), grid={"var_smoothing": [1e-9, 1.0]}, cv=4, progress="bayes"
    ).fit(X, y)
    shown = capsys.readouterr().err
    assert "bayes" in shown
    assert "8/8" in shown
    assert "best score 0.9" in shown


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_after_an_interrupt_the_finished_candidates_are_there(n_jobs, tmp_path):
    began = str(tmp_path / "began")
    search = GridSearchCV(Slow(began=began), {"ends": [True, True, False]}, cv=2, n_jobs=n_jobs)
    done = threading.Event()

    def interrupt():
        while not os.path.exists(began) and not done.wait(0.05):
            pass
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            search.fit(X, y)
    finally:
        done.set()
        thread.join()
    assert len(search.cv_results_["params"]) == 2
    assert search.best_params_ == {"ends": True}
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_before_the_fit_a_search_says_what_it_would_do(monkeypatch):
    monkeypatch.setattr(durations, "_seconds", {})
    search = made(GridSearchCV, cv=3, n_jobs=2, scoring=["accuracy", "f1_macro"], refit="accuracy")
    plan = search.explain(X, y)
    assert (plan.n_candidates, plan.n_fits, plan.n_jobs) == (4, 12, 2)
    assert plan.seconds > 0
    assert "12 fits" in str(plan)
    assert "one fit took" in str(plan)
    assert not hasattr(search, "cv_results_")
    search.fit(X, y)
    assert search.explain(X, y).measured_seconds is None


def test_all_rounds_of_a_halving_search_are_in_its_plan():
    search = made(HalvingGridSearchCV, cv=2, factor=2, min_resources=20)
    plan = search.explain(X, y)
    search.fit(X, y)
    assert plan.n_candidates == len(search.cv_results_["params"])


def test_a_plan_says_why_nothing_is_recognised(monkeypatch):
    monkeypatch.setattr(allcores.sklearn.compat, "why_not", lambda: "scikit-learn 99 is not known")
    assert "scikit-learn 99 is not known" in str(made(GridSearchCV, cv=2).explain(X, y))
    with pytest.raises(ValueError, match="timeout= cannot be kept"):
        made(GridSearchCV, cv=2, timeout=5).fit(X, y)


def test_a_search_inside_a_search_is_not_mistaken_for_it(capsys):
    inner = StockGridSearchCV(GaussianNB(), {"var_smoothing": [1e-9, 1e-3]}, cv=2, n_jobs=2)
    grid = {"estimator__priors": [None, [0.2, 0.3, 0.5]]}
    expected = StockGridSearchCV(inner, grid, cv=2).fit(X, y)
    with parallel_config("allcores"):
        found = GridSearchCV(inner, grid, cv=2, n_jobs=2, progress=True).fit(X, y)
    assert_same(found.cv_results_, expected.cv_results_)
    assert "4/4" in capsys.readouterr().err


def test_the_best_estimator_is_fitted_with_its_own_jobs():
    forest = RandomForestClassifier(5, random_state=0, n_jobs=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = GridSearchCV(forest, {"max_depth": [1, 2]}, cv=2, n_jobs=2).fit(X, y)
    expected = StockGridSearchCV(forest, {"max_depth": [1, 2]}, cv=2).fit(X, y)
    assert_same(found.cv_results_, expected.cv_results_)
