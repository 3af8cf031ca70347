"""Estimators whose fits may run in threads of one process, and gain by it.

They compute in compiled code that lets go of the GIL, start no threads of their own, keep what they learn to
themselves, and with the parameters named here draw no number that counts from a generator that threads would share.
What is not listed is not unsafe: nobody has looked it up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from numbers import Integral
from typing import Any, NamedTuple

from allcores.sklearn import compat
from allcores.sklearn.sharing import FitCall


class Entry(NamedTuple):
    """Classes with one source.

    Attributes:
        names: full names of the classes.
        needs: parameters, and the values that they must have.
        draws: whether ``random_state`` must be a whole number.
        source: who says so.
    """

    names: tuple[str, ...]
    needs: dict[str, tuple[Any, ...]]
    draws: bool
    source: str


TABLE = (
    Entry(
        ("sklearn.svm._classes.SVC", "sklearn.svm._classes.NuSVC"),
        {
            "probability": (False, "deprecated"),
            "verbose": (False,),
            "kernel": ("linear", "poly", "rbf", "sigmoid"),
        },
        False,
        "scikit-learn/sklearn/svm/_libsvm.pyx: nogil; with probability=True it draws from one generator",
    ),
    Entry(
        ("sklearn.svm._classes.SVR", "sklearn.svm._classes.NuSVR"),
        {"verbose": (False,), "kernel": ("linear", "poly", "rbf", "sigmoid")},
        False,
        "scikit-learn/sklearn/svm/_libsvm.pyx: nogil",
    ),
    Entry(
        (
            *("sklearn.tree._classes.DecisionTreeClassifier", "sklearn.tree._classes.DecisionTreeRegressor"),
            *("sklearn.tree._classes.ExtraTreeClassifier", "sklearn.tree._classes.ExtraTreeRegressor"),
        ),
        {},
        True,
        "scikit-learn/sklearn/tree/_tree.pyx: nogil; scikit-learn's own forests grow them in threads",
    ),
    Entry(
        (
            "sklearn.ensemble._forest.RandomForestClassifier",
            "sklearn.ensemble._forest.RandomForestRegressor",
            "sklearn.ensemble._forest.ExtraTreesClassifier",
            "sklearn.ensemble._forest.ExtraTreesRegressor",
        ),
        {"n_jobs": (None, 1), "verbose": (0,), "warm_start": (False,), "oob_score": (False,)},
        True,
        "scikit-learn/sklearn/ensemble/_forest.py: Parallel(prefer='threads') over their trees",
    ),
)
ENTRIES = {name: entry for entry in TABLE for name in entry.names}
SEARCHES = {  # what they try is as safe as the estimator is with each value
    "sklearn.model_selection._search.GridSearchCV": "param_grid",
    "sklearn.model_selection._search.RandomizedSearchCV": "param_distributions",
}


def may_share_a_process(calls: Sequence[FitCall]) -> bool:
    """Whether these fits may run side by side in threads: each estimator is in the table, as it is set.

    Example:
        >>> from sklearn.svm import SVC
        >>> is_listed(SVC(), {"C": 10.0}), is_listed(SVC(), {"kernel": max})
        (True, False)
    """
    first = calls[0]
    if not compat.is_plain_scorer(first.scorer) or any(call.scorer is not first.scorer for call in calls):
        return False
    if any(call.options.get("verbose") for call in calls):
        return False  # lines of several fits would mix
    return all(is_listed(call.estimator, call.parameters or {}) for call in calls)


def is_listed(estimator: Any, parameters: dict[str, Any]) -> bool:
    """Whether an estimator with these parameters is in the table, or searches for parameters of one that is."""
    kind = type(estimator)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if name in SEARCHES:
        return not parameters and _searches_what_is_listed(estimator, SEARCHES[name])
    entry = ENTRIES.get(name)
    if entry is None:
        return False
    values = {**estimator.get_params(deep=False), **parameters}
    for name, allowed in entry.needs.items():
        if name in values and not any(values[name] is each or _same(values[name], each) for each in allowed):
            return False
    seed = values.get("random_state")
    return isinstance(seed, Integral) or (seed is None and not entry.draws)


def _searches_what_is_listed(search: Any, candidates: str) -> bool:
    """Whether a search calls nothing but scikit-learn, prints nothing, and tries only what is in the table."""
    settings = search.get_params(deep=False)
    scorers, grids = _as_list(settings["scoring"]), _as_list(settings[candidates])
    if isinstance(settings["scoring"], dict):
        scorers = list(settings["scoring"].values())
    plain = (
        all(isinstance(each, (str, type(None))) for each in scorers)
        and isinstance(settings["refit"], (bool, str))
        and isinstance(settings["cv"], (Integral, type(None)))
        and isinstance(settings.get("random_state", 0), Integral)
        and not settings["verbose"]
        and all(isinstance(grid, dict) for grid in grids)
    )
    if not plain or not is_listed(settings["estimator"], {}):
        return False
    tried = (each for grid in grids for each in _tried(grid))
    return all(is_listed(settings["estimator"], {name: value}) for name, value in tried)


def _as_list(setting: Any) -> list[Any]:
    return list(setting) if isinstance(setting, (list, tuple, set)) else [setting]


def _tried(grid: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each parameter with each value that it may take; a distribution stands for all of its own."""
    for name, values in grid.items():
        several = isinstance(values, (list, tuple)) or getattr(values, "ndim", 0) == 1
        for value in values if several else (values,):
            yield name, value


def _same(value: Any, other: Any) -> bool:
    return type(value) is type(other) and bool(value == other)
