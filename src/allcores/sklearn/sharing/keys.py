"""What makes two things the same: equal keys mean equal work, and what has no key is left alone.

An estimator has a key if it is of a class of scikit-learn itself and nothing but its parameters, which have keys. So
no code of the user's runs in it, it does not write into its input, prints nothing, and two with the same key do the
same to the same data, unless they draw random numbers (``draws``).
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Hashable
from types import FunctionType
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import make_column_selector

# Attributes of an unfitted estimator that are no parameters: what set_output left there is part of the key.
_OUTPUT = "_sklearn_output_config"
# Their work is what the user's function does, or what happened before.
_FOREIGN = {"FunctionTransformer", "FrozenEstimator"}


class Opaque(Exception):
    """Raised for what has no key."""


def key(thing: Any, without: frozenset[str] = frozenset()) -> Hashable:
    """Return what is equal for equal work, of a value or an estimator.

    Args:
        thing: a parameter's value, or an estimator that is not fitted yet.
        without: parameters of the estimator (not of those inside it) that do not count.

    Raises:
        Opaque: where equality cannot be told.
    """
    kind = type(thing)
    if thing is None or kind in (bool, int, str, bytes):
        return (kind, thing)
    if kind is float:
        return (kind, thing.hex())
    if kind in (list, tuple):
        return (kind, tuple(key(each) for each in thing))
    if kind is dict:
        return (kind, tuple((key(name), key(value)) for name, value in thing.items()))
    if kind is slice:
        return (kind, key((thing.start, thing.stop, thing.step)))
    if isinstance(thing, np.generic) and kind.__module__ == "numpy" and not thing.dtype.hasobject:
        return (kind, thing.tobytes())
    if kind is np.ndarray and not thing.dtype.hasobject:
        digest = hashlib.blake2b(
            np.ascontiguousarray(thing).data if thing.size else b"", digest_size=16
        ).digest()
        return (
            kind,
            thing.dtype.str,
            thing.shape,
            thing.flags.c_contiguous,
            thing.flags.f_contiguous,
            digest,
        )
    if kind is type and thing.__module__ in ("numpy", "builtins"):
        return (kind, thing)
    if kind is FunctionType and _scores_columns(thing):
        return (kind, thing)
    if kind is make_column_selector:
        return (kind, key(vars(thing)))
    if isinstance(thing, BaseEstimator):
        return _estimator_key(thing, without)
    raise Opaque(f"{kind.__module__}.{kind.__qualname__}")


def has_key(thing: Any) -> bool:
    """Say whether a thing has a key."""
    try:
        key(thing)
    except Opaque:
        return False
    return True


def is_metric(function: Any) -> bool:
    """Say whether a function is one of scikit-learn's own metrics."""
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    is_its_own = str(getattr(module, "__name__", "")).startswith("sklearn.metrics.")
    return is_its_own and getattr(module, getattr(function, "__name__", ""), None) is function


def is_of_scikit_learn(kind: type) -> bool:
    """Say whether a class is one of scikit-learn's public estimators, and not one of its tests or mocks."""
    parts = kind.__module__.split(".")
    if parts[0] != "sklearn" or "tests" in parts or parts[1:2] == ["utils"] or kind.__name__ in _FOREIGN:
        return False
    return getattr(sys.modules.get(kind.__module__), kind.__qualname__, None) is kind


def is_bare(estimator: Any) -> bool:
    """Say whether an estimator is of a class of scikit-learn's and holds what its constructor made and nothing else."""
    kind = type(estimator)
    if not is_of_scikit_learn(kind):
        return False
    if kind not in _made_by_constructor:
        _made_by_constructor[kind] = frozenset(vars(kind(**parameters(estimator))))
    return set(vars(estimator)) - {_OUTPUT} <= _made_by_constructor[kind]


def parameters(estimator: Any) -> dict[str, Any]:
    """Return the parameters of an estimator of scikit-learn's, whose names are looked up once a class."""
    kind = type(estimator)
    if kind not in _names:
        _names[kind] = tuple(sorted(estimator.get_params(deep=False)))
    return {name: getattr(estimator, name) for name in _names[kind]}


_names: dict[type, tuple[str, ...]] = {}
_made_by_constructor: dict[type, frozenset[str]] = {}  # names of attributes: of most classes, the parameters


def _estimator_key(estimator: Any, without: frozenset[str]) -> Hashable:
    if not is_bare(estimator):
        raise Opaque(repr(type(estimator)))
    mine = parameters(estimator)
    for name, value in mine.items():
        may_write_its_input = name.startswith("copy") and value is not True
        prints = name == "verbose" and bool(value)
        if may_write_its_input or prints or (name in ("memory", "transform_input") and value is not None):
            raise Opaque(f"{type(estimator)} with {name}={value!r}")
    output = tuple(sorted(getattr(estimator, _OUTPUT, {}).items()))
    counted = tuple((name, key(value)) for name, value in mine.items() if name not in without)
    return (type(estimator), counted, output)


# Without a seed, these draw random numbers only sometimes: the parameters and the number of rows and columns tell.
def _pca_draws(estimator: Any, shape: tuple[int, int] | None) -> bool:
    """Whether "auto" comes to the randomized solver, by the rules of PCA.fit."""
    if estimator.svd_solver in ("full", "covariance_eigh"):
        return False
    if estimator.svd_solver != "auto" or shape is None:
        return True
    is_tall = shape[1] <= 1000 and shape[0] >= 10 * shape[1]
    return not (is_tall or max(shape) <= 500 or estimator.n_components in (None, "mle"))


def _subsamples(estimator: Any, shape: tuple[int, int] | None) -> bool:
    limit = estimator.subsample
    return limit is not None and (shape is None or shape[0] > limit)


_DRAWS_SOMETIMES: dict[str, Callable[[Any, Any], bool]] = {
    "PCA": _pca_draws,
    "KBinsDiscretizer": _subsamples,
    "QuantileTransformer": _subsamples,
    "LogisticRegression": lambda estimator, _: (
        estimator.solver not in ("lbfgs", "newton-cg", "newton-cholesky")
    ),
    "SVC": lambda estimator, _: estimator.probability is not False and estimator.probability != "deprecated",
    "Ridge": lambda estimator, _: estimator.solver not in ("svd", "cholesky", "lsqr", "sparse_cg", "lbfgs"),
    "RidgeClassifier": lambda estimator, _: (
        estimator.solver not in ("svd", "cholesky", "lsqr", "sparse_cg", "lbfgs")
    ),
    "Lasso": lambda estimator, _: estimator.selection == "random",
    "ElasticNet": lambda estimator, _: estimator.selection == "random",
}


def _scores_columns(function: Any) -> bool:
    """Whether this is one of scikit-learn's own score functions."""
    if not str(function.__module__).startswith("sklearn.feature_selection."):
        return False
    from sklearn import feature_selection as of  # which who has one of them has loaded

    return function in (of.chi2, of.f_classif, of.f_regression, of.r_regression)


# Given a seed, these seed what is inside them too.
SEED_WHAT_THEY_HOLD = frozenset(
    {"AdaBoostClassifier", "AdaBoostRegressor", "BaggingClassifier", "BaggingRegressor"}
)


def draws(estimator: Any, shape: tuple[int, int] | None) -> bool:
    """Say whether fitting an estimator that has a key may draw random numbers without a seed.

    Args:
        estimator: one that has a key.
        shape: of its input, as (rows, columns); ``None`` if unknown.
    """
    mine = parameters(estimator)
    name = type(estimator).__name__
    if "random_state" in mine:
        is_seeded = isinstance(mine["random_state"], (int, np.integer))
        if not is_seeded and _DRAWS_SOMETIMES.get(name, lambda *_: True)(estimator, shape):
            return True
        if is_seeded and name in SEED_WHAT_THEY_HOLD:
            return False
    return any(draws(each, None) for each in _estimators_in(tuple(mine.values())))


def draws_always(estimator: Any) -> bool:
    """Say whether an estimator that has a key surely draws random numbers without a seed, whatever it is fitted to."""
    seed = parameters(estimator).get("random_state", 0)
    return not isinstance(seed, (int, np.integer)) and type(estimator).__name__ not in _DRAWS_SOMETIMES


def _estimators_in(thing: Any) -> list[Any]:
    """The estimators that a parameter holds: itself, or in lists and tuples."""
    if isinstance(thing, BaseEstimator):
        return [thing]
    if isinstance(thing, (list, tuple)):
        return [found for each in thing for found in _estimators_in(each)]
    return []
