"""Ensembles that are the beginning of a larger one, and scores from which several numbers of columns follow.

The largest ensemble of a fold is fitted; a smaller one that differs in nothing else is a copy with what came later cut
off. That holds bit by bit where a seed is given, nothing looks back (early stopping, out-of-bag scores), and
predictions are sums in the order of the members.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any

from allcores.sklearn.sharing.keys import key, parameters
from allcores.sklearn.sharing.lease import Lease, gives_up, learned

_EARLY_STOPPING_FROM = 10_000  # rows above which HistGradientBoosting's "auto" stops early
_ENSEMBLES, _SELECTORS = (
    "sklearn.ensemble.",
    "sklearn.feature_selection.",
)  # loaded only by who has one of these


@functools.cache
def _histogram() -> tuple[type, ...]:
    from sklearn import ensemble

    return ensemble.HistGradientBoostingClassifier, ensemble.HistGradientBoostingRegressor


@functools.cache
def _members() -> dict[type, tuple[str, ...]]:
    """Fitted attributes with one member a stage, that are cut."""
    from sklearn import ensemble as of

    return {
        **dict.fromkeys(
            (of.GradientBoostingClassifier, of.GradientBoostingRegressor),
            ("estimators_", "train_score_", "oob_improvement_", "oob_scores_"),
        ),
        **dict.fromkeys(_histogram(), ("_predictors",)),
        **dict.fromkeys(
            (of.AdaBoostClassifier, of.AdaBoostRegressor),
            ("estimators_", "estimator_weights_", "estimator_errors_"),
        ),
        **dict.fromkeys(
            (
                of.RandomForestClassifier,
                of.RandomForestRegressor,
                of.ExtraTreesClassifier,
                of.ExtraTreesRegressor,
            ),
            ("estimators_",),
        ),
        **dict.fromkeys(
            (of.BaggingClassifier, of.BaggingRegressor), ("estimators_", "estimators_features_", "_seeds")
        ),
    }


@functools.cache
def _scored() -> frozenset[type]:
    from sklearn import feature_selection as of

    return frozenset((of.SelectKBest, of.SelectPercentile, of.SelectFpr, of.SelectFdr, of.SelectFwe))


def size_parameter(kind: type) -> str | None:
    """Return the parameter that says how many members an ensemble of this class has, if sizes can be shared."""
    if not kind.__module__.startswith(_ENSEMBLES) or kind not in _members():
        return None
    return "max_iter" if kind in _histogram() else "n_estimators"


def may_grow(estimator: Any, changes: dict[str, Any]) -> bool:
    """Say whether an ensemble with these parameters set could be cut from a larger one."""
    return size_parameter(type(estimator)) is not None and _grows_steadily(
        {**parameters(estimator), **changes}
    )


def lend_sizes(estimator: Any, lease: Lease) -> None:
    """Lend an ensemble a ``fit`` that cuts a larger one of the same kind, where there is one."""
    if not lease.is_private and may_grow(estimator, {}):
        Growing(estimator, lease)


class Growing:
    """The ``fit`` of ours that an ensemble carries for a while."""

    def __init__(self, estimator: Any, lease: Lease) -> None:
        self._estimator = estimator
        self._lease = lease
        parameter = str(size_parameter(type(estimator)))
        self._size: int = getattr(estimator, parameter)
        self._name = key(estimator, without=frozenset({parameter}))
        lease.borrow(estimator, "fit", self.fit)

    @gives_up
    def fit(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Fit, or become the beginning of a larger one."""
        del vars(self._estimator)["fit"]
        memo = self._lease.memo
        seen, target = memo.token(X), memo.token(y)
        if params or seen is None or target is None or _stops_early(self._estimator, X):
            return self._estimator.fit(X, y, **params)
        what = ("grown", self._name, seen, target)
        found = memo.recall(what)
        if found is not None and found.value < self._size:
            memo.drop(what)
            found = None
        if found is None:
            entry, _ = self._lease.once(what, lambda: self._fitted(X, y), lambda: learned(self._estimator))
            if entry.log:  # a smaller one might have had nothing to warn of
                memo.drop(what)
            return self._estimator
        vars(self._estimator).update(_cut(type(self._estimator), self._lease.state(found), self._size))
        self._lease.clock.charge(found.seconds * self._size / found.value)
        return self._estimator

    def _fitted(self, X: Any, y: Any) -> int:
        self._estimator.fit(X, y)
        return self._size


def _grows_steadily(given: dict[str, Any]) -> bool:
    """Whether the members depend on those before them and on the seed alone."""
    size = given.get("n_estimators", given.get("max_iter"))
    if type(size) is not int or size < 1 or type(given["random_state"]) is not int:
        return False
    if any(given.get(name) not in (None, False) for name in ("warm_start", "oob_score")):
        return False
    if "early_stopping" in given:  # there n_iter_no_change is only how to
        return given["early_stopping"] is not True
    return given.get("n_iter_no_change") is None and isinstance(given.get("init"), str | None)


def _stops_early(estimator: Any, X: Any) -> bool:
    if type(estimator) not in _histogram() or estimator.early_stopping is False:
        return False
    rows = X.shape[0] if hasattr(X, "shape") else len(X)
    return bool(rows > _EARLY_STOPPING_FROM)


def _cut(kind: type, state: dict[str, Any], size: int) -> dict[str, Any]:
    """The fitted attributes of an ensemble, had it stopped at this size."""
    smaller = dict(state)
    for name in _members()[kind]:
        if name in smaller:
            smaller[name] = smaller[name][:size]
    if "oob_scores_" in smaller:
        smaller["oob_score_"] = smaller["oob_scores_"][-1]
    if "n_estimators_" in smaller:
        smaller["n_estimators_"] = size
    return smaller


def is_scored(estimator: Any) -> bool:
    """Say whether a transformer picks columns by scores that do not depend on how many it picks."""
    kind = type(estimator)
    return kind.__module__.startswith(_SELECTORS) and kind in _scored()


@contextmanager
def scores_once(selector: Any, lease: Lease, seen: Hashable) -> Iterator[None]:
    """Let a selector ask the memo for its columns' scores while it is fitted by its own code."""
    score = selector.score_func

    def remembered(X: Any, y: Any) -> Any:
        entry, _ = lease.once(("scores", score, seen), lambda: score(X, y))
        return copy.deepcopy(entry.value)

    selector.score_func = remembered
    try:
        yield
    finally:
        selector.score_func = score
