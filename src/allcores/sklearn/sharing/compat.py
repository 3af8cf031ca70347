"""The private names of scikit-learn that sharing needs, and whether they look as they are known here."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

import sklearn
from sklearn.metrics import _scorer
from sklearn.model_selection import _validation

try:
    from sklearn.utils import get_tags
except ImportError:  # before 1.6
    get_tags = None

from allcores.sklearn.sharing.calls import FitCall

fit_and_score = _validation._fit_and_score
safe_split = _validation._safe_split
safe_indexing = _validation._safe_indexing
score = _validation._score

# The keyword arguments of _fit_and_score that do not name the work itself.
OPTIONS = frozenset(
    (
        *("verbose", "return_train_score", "return_parameters", "return_n_test_samples", "return_times"),
        *(
            "return_estimator",
            "split_progress",
            "candidate_progress",
            "error_score",
            "caller",
            "callback_ctx",
        ),
    )
)
_WORK = frozenset(FitCall._fields) - {"options"}
_EXCHANGED = frozenset(("_safe_split", "_score", "time"))


@functools.cache
def is_known_shape() -> bool:
    """Say whether this scikit-learn's ``_fit_and_score`` is built as the one that sharing was written for."""
    if get_tags is None or type(fit_and_score) is not FunctionType or fit_and_score.__closure__:
        return False
    return (
        set(inspect.signature(fit_and_score).parameters) == OPTIONS | _WORK
        and _EXCHANGED.issubset(fit_and_score.__code__.co_names)
        and list(inspect.signature(safe_split).parameters)
        == ["estimator", "X", "y", "indices", "train_indices"]
        and list(inspect.signature(score).parameters)
        == ["estimator", "X_test", "y_test", "scorer", "score_params", "error_score"]
    )


def is_plain_configuration() -> bool:
    """Say whether neither metadata routing nor array API dispatch is on: both reach deeper than sharing looks."""
    config = sklearn.get_config()
    return not (config["enable_metadata_routing"] or config["array_api_dispatch"])


def rewired(split: Callable[..., Any], scoring: Callable[..., Any], clock: Any) -> Callable[..., Any]:
    """Return scikit-learn's own ``_fit_and_score`` in a world where slices, scores and the time come from us.

    The code is the same object, so that results, messages and tracebacks are scikit-learn's; nothing global is changed.
    """
    world = {**fit_and_score.__globals__, "_safe_split": split, "_score": scoring, "time": clock}
    twin = FunctionType(fit_and_score.__code__, world, fit_and_score.__name__, fit_and_score.__defaults__)
    twin.__kwdefaults__ = fit_and_score.__kwdefaults__
    return twin


def is_pairwise(estimator: Any) -> bool:
    """Say whether the estimator takes a kernel matrix, of which a fold is rows and columns."""
    return bool(get_tags(estimator).input_tags.pairwise)


def metrics_of(scorer: Any) -> list[Any] | None:
    """Return the functions that score predictions, if all this scorer does with the estimator is predict.

    ``None`` stands for a callable of the user's that is given the estimator itself. The estimator's own ``score``
    counts as no function.
    """
    if type(scorer) is _scorer._MultimetricScorer:
        found = [metrics_of(each) for each in scorer._scorers.values()]
        return None if None in found else [function for functions in found for function in functions or ()]
    if type(scorer) is _scorer._PassthroughScorer:
        return []
    if type(scorer) is _scorer._Scorer:
        return [scorer._score_func]
    return None
