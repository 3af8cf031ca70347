"""Runs a search twice: as scikit-learn does with one worker, and by units, one after the other in this process."""

import re
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest import mock

import cloudpickle
import numpy as np
from sklearn import get_config
from sklearn.model_selection import _search, _validation

from allcores.sklearn.sharing import FitCall, Unit, units


class Tasks:
    """Takes the place of scikit-learn's ``Parallel`` in searches: makes units of its tasks and runs them here."""

    def __init__(self, workers: int, made: list[Unit]) -> None:
        self._workers = workers
        self._made = made

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def __call__(self, tasks):
        tasks = list(tasks)
        wrapper = type(tasks[0][0])
        calls = [fit_call(*args, **kwargs) for _, args, kwargs in tasks]
        made = units(calls, workers=self._workers)
        self._made += made
        results = [None] * len(calls)
        assert sorted(index for unit in made for index in unit.indices) == list(range(len(calls)))
        for unit in cloudpickle.loads(cloudpickle.dumps(made)):
            run = wrapper(unit.run).with_config_and_warning_filters(get_config(), warnings.filters)
            for index, result in zip(unit.indices, run(calls[0].X, calls[0].y), strict=True):
                results[index] = result
        return results


def fit_call(estimator, X, y, *, scorer, train, test, parameters, fit_params, score_params, **options):
    options |= {
        "caller": None,
        "callback_ctx": None,
    }  # as whoever makes units of searches without callbacks does
    return FitCall(estimator, X, y, train, test, parameters, scorer, fit_params, score_params, options)


class Outcome(NamedTuple):
    """What a search came to: its results; what it raised; and what it warned of."""

    results: dict[str, Any]
    error: Exception | None
    warned: list[tuple[type, str, str, int]]


def outcome(search, X, y, strict: str | None = None, **params) -> Outcome:
    """Fit a search; warnings that begin with ``strict`` are errors."""
    error = None
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        if strict is not None:
            warnings.filterwarnings("error", message=strict)
        try:
            search.fit(X, y, **params)
        except Exception as raised:
            error = raised
    results = {} if error else search.cv_results_
    return Outcome(
        results, error, [(each.category, text(each.message), each.filename, each.lineno) for each in shown]
    )


def text(message) -> str:
    """A message; with callbacks and without, the fit stands in two lines of ``_fit_and_score``."""
    return re.sub(r"line \d+, in _fit_and_score", "in _fit_and_score", str(message))


def stock(search, X, y, **params) -> Outcome:
    return outcome(search, X, y, **params)


def shared(search, X, y, workers: int = 2, made: list[Unit] | None = None, **params) -> Outcome:
    with sharing_parallel(workers, made):
        return outcome(search, X, y, **params)


@contextmanager
def sharing_parallel(workers: int, made: list[Unit] | None = None):
    """Searches and cross-validation run by units inside; these are added to ``made``."""
    tasks = Tasks(workers, [] if made is None else made)

    def sharing(**_):
        return tasks

    with mock.patch.object(_search, "Parallel", sharing), mock.patch.object(_validation, "Parallel", sharing):
        yield


def assert_same(one: Outcome, other: Outcome) -> None:
    """Two searches came to the same in everything but times, errors and warnings included."""
    assert type(one.error) is type(other.error)
    assert text(one.error) == text(other.error)
    assert sorted(one.warned, key=str) == sorted(other.warned, key=str)
    assert one.results.keys() == other.results.keys()
    for name in one.results:
        if not name.endswith("_time"):
            np.testing.assert_array_equal(one.results[name], other.results[name], err_msg=name)


def counted(monkeypatch, kind: type, name: str) -> Callable[[], int]:
    """Count the calls of a method of a class, from now on."""
    method, calls = getattr(kind, name), []

    def counting(self, *args, **kwargs):
        calls.append(name)
        return method(self, *args, **kwargs)

    monkeypatch.setattr(kind, name, counting)
    return lambda: len(calls)
