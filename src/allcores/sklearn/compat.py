"""Every private name of joblib and scikit-learn that the wing touches, and what it takes for granted about it.

Checked against joblib 1.4 to 1.6 and scikit-learn 1.4 to 1.9. Whatever has another shape than is known here is not
recognised: it runs plainly, as any backend would run it, and ``why_not`` says so.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from types import FunctionType
from typing import Any, NamedTuple

import joblib.parallel
from joblib.parallel import (
    FallbackToBackend,
    ParallelBackendBase,
    SequentialBackend,
    ThreadingBackend,
    parallel_config,
    register_parallel_backend,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from allcores.sklearn.sharing import FitCall

__all__ = [
    "FallbackToBackend",
    "ParallelBackendBase",
    "SequentialBackend",
    "ThreadingBackend",
    "parallel_config",
    "register_parallel_backend",
]

Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


# -- joblib ---------------------------------------------------------------------------------------------


def calls_of(batch: Any) -> list[Call]:
    """What ``submit`` is given: the calls in a ``BatchedCalls``."""
    return list(batch.items)


def parallel_of(callback: Any) -> Any:
    """The Parallel object that waits for a submitted batch."""
    return callback.parallel


def pull(parallel: Any) -> bool:
    """Lets joblib submit the next batch of its input; False where there is none left, or nobody wants it."""
    if parallel._original_iterator is None or parallel._aborting:
        return False
    parallel.dispatch_next()
    return True


def more_to_pull(parallel: Any) -> bool:
    """Whether the input may have more batches."""
    return parallel._original_iterator is not None


def is_over(parallel: Any) -> bool:
    """Whether joblib wants no more results of this call."""
    return bool(parallel._aborting)


def lazily(parallel: Any) -> int | None:
    """How many batches the user lets joblib take from the input in advance; None for joblib's default, or all."""
    asked = parallel.pre_dispatch
    default = isinstance(asked, str) and asked.replace(" ", "") in ("all", "2*n_jobs")
    each = 1 if parallel.batch_size == "auto" else parallel.batch_size
    return None if default else max(1, parallel._pre_dispatch_amount // each)


def is_for_fits(parallel: Any) -> bool:
    """Whether a Parallel object is of a cross-validation of scikit-learn: these alone say how far to read ahead."""
    theirs = type(parallel).__module__ == "sklearn.utils.parallel"
    return theirs and parallel.pre_dispatch == "2*n_jobs"


def wants_all_at_once(parallel: Any) -> bool:
    """Whether the user gets nothing before all results are there, and no time limit runs meanwhile."""
    return not parallel.return_generator and parallel.timeout is None


def default_backend() -> str:
    """The backend of calls outside of every ``parallel_config``."""
    return str(joblib.parallel.DEFAULT_BACKEND)


def restore_default_backend(name: str) -> None:
    """Makes ``name`` the default again."""
    joblib.parallel.DEFAULT_BACKEND = name


@functools.cache
def _validation() -> Any:
    """scikit-learn's module of that name, which takes a second to load."""
    from sklearn.model_selection import _validation

    return _validation


# -- scikit-learn: what a task is -------------------------------------------------------------------------

# The arguments of ``_fit_and_score``: those of every version, and those that came with one.
_ARGUMENTS = frozenset(
    (
        *("estimator", "X", "y", "scorer", "train", "test", "verbose", "parameters", "fit_params"),
        *("score_params", "return_train_score", "return_parameters", "return_n_test_samples"),
        *("return_times", "return_estimator", "split_progress", "candidate_progress", "error_score"),
    )
)
_CALLBACKS = frozenset(("caller", "callback_ctx"))  # since 1.9
_FITS_OF_CLONES = frozenset(
    (
        "sklearn.multiclass._fit_binary",
        "sklearn.multiclass._fit_ovo_binary",
        "sklearn.multioutput._fit_estimator",
    )
)
_FIRST = ("estimator", "X", "y")  # given by position
_TAKEN = ("estimator", "X", "y", "train", "test", "parameters", "scorer", "fit_params", "score_params")


class Surroundings(NamedTuple):
    """What scikit-learn's ``delayed`` puts around a call in a worker: its configuration and warning filters."""

    config: dict[str, Any]
    filters: list[Any]


def inner(function: Any) -> Any:
    """The function behind scikit-learn's ``delayed``."""
    return function.function if _is_wrapped(function) else function


def surroundings_of(function: Any) -> Surroundings | None:
    """What its wrapper carries; None where there is no wrapper, or one that was given nothing."""
    if not _is_wrapped(function) or not getattr(function, "config", None):
        return None
    return Surroundings(dict(function.config), list(getattr(function, "warning_filters", [])))


def rewrapped(surroundings: Surroundings | None, function: Any) -> Any:
    """``function`` under the same configuration and filters as those that carried them."""
    if surroundings is None:
        return function
    from sklearn.utils.parallel import _FuncWrapper

    wrapper = _FuncWrapper(function)
    if hasattr(wrapper, "with_config_and_warning_filters"):
        return wrapper.with_config_and_warning_filters(*surroundings)
    return wrapper.with_config(surroundings.config)


def is_fit(call: Call) -> bool:
    """Whether this is a call of ``_fit_and_score``, of whatever shape."""
    function = inner(call[0])
    return (
        getattr(function, "__name__", "") == "_fit_and_score"
        and getattr(function, "__module__", "") == "sklearn.model_selection._validation"
    )


def is_of_sklearn(call: Call) -> bool:
    """Whether the function of a call is scikit-learn's own."""
    return str(getattr(inner(call[0]), "__module__", "")).startswith("sklearn.")


def is_fit_of_a_clone(call: Call) -> bool:
    """Whether all that a call does is to fit a clone of its first argument to the second one."""
    function = inner(call[0])
    name = f"{getattr(function, '__module__', '')}.{getattr(function, '__name__', '')}"
    return name in _FITS_OF_CLONES and len(call[1]) > 1


def fits(calls: Sequence[Call]) -> list[FitCall] | str:
    """The calls as ``FitCall``s, rid of the context that no callback will look at; or why they are left as they are."""
    from allcores.sklearn.sharing import FitCall

    if not calls:
        return "there are none"
    reason = why_not()
    if reason is not None:
        return reason
    found: list[FitCall] = []
    for function, args, kwargs in calls:
        if not is_fit((function, args, kwargs)):
            return "they are not all fits"
        given = dict(zip(_FIRST, args, strict=False)) | kwargs
        if len(args) > 3 or not given.keys() >= set(_TAKEN):
            return "their arguments are not those that are known"
        if (context := given.pop("callback_ctx", None)) is not None:
            held = [] if found else [given["estimator"]]  # all of them are clones of one
            if _has_callbacks(context, [*held, *(given["parameters"] or {}).values()]):
                return "callbacks watch them"
        given.pop("caller", None)
        taken = {name: given.pop(name) for name in _TAKEN}
        found.append(FitCall(**taken, options=given))
    first = found[0]
    if any(call.X is not first.X or call.y is not first.y for call in found):
        return "they do not all have the same X and y"
    if not all(_same_wrapper(calls[0][0], function) for function, _, _ in calls):
        return "they do not all run under the same configuration"
    return found


@functools.cache
def why_not() -> str | None:
    """Why nothing is recognised with this version of scikit-learn; None where it is known."""
    names = frozenset(inspect.signature(_validation()._fit_and_score).parameters)
    if names in (_ARGUMENTS, _ARGUMENTS | _CALLBACKS):
        return None
    from sklearn import __version__

    return f"scikit-learn {__version__} is not known: its _fit_and_score takes other arguments"


def fit_and_score(call: FitCall, X: Any, y: Any) -> dict[str, Any]:
    """Makes the call on this data, as scikit-learn would."""
    result: dict[str, Any] = call.run(_validation()._fit_and_score, X, y)
    return result


def failed(call: FitCall, seconds: float, text: str) -> dict[str, Any]:
    """What ``_fit_and_score`` returns for a fit that failed; ``text`` is shown with scikit-learn's warning."""
    return {**result_of(call, call.options["error_score"], seconds), "fit_error": text}


def result_of(call: FitCall, score: float, seconds: float) -> dict[str, Any]:
    """What ``_fit_and_score`` returns where all scores are the same."""
    options = call.options
    names = getattr(call.scorer, "_scorers", None)
    result: dict[str, Any] = {"fit_error": None}
    for scores in ("test_scores", "train_scores") if options.get("return_train_score") else ("test_scores",):
        result[scores] = score if names is None else dict.fromkeys(names, score)
    if options.get("return_n_test_samples"):
        result["n_test_samples"] = len(call.test)
    if options.get("return_times"):
        result["fit_time"], result["score_time"] = seconds, 0.0
    if options.get("return_parameters"):
        result["parameters"] = call.parameters
    if options.get("return_estimator"):
        result["estimator"] = call.estimator
    return result


def keep_results(
    search: Any, candidates: list[dict[str, Any]], folds: int, results: list[Any], more: dict[str, list[Any]]
) -> None:
    """Gives a search that was interrupted the attributes that it can have."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of scores that are not finite
        search.cv_results_ = search._format_results(candidates, folds, results, more)
    scores = results[0]["test_scores"]
    search.multimetric_ = isinstance(scores, dict)
    metric = search.refit if search.multimetric_ else "score"
    if isinstance(metric, str) and not callable(search.refit):
        search.best_index_ = search._select_best_index(metric, metric, search.cv_results_)
        search.best_score_ = search.cv_results_[f"mean_test_{metric}"][search.best_index_]
        search.best_params_ = candidates[search.best_index_]


def may_fail(call: FitCall) -> bool:
    """Whether a fit that fails is given a score instead of ending the search."""
    return not isinstance(call.options.get("error_score"), str)


def is_plain_scorer(scorer: Any) -> bool:
    """Whether a scorer calls nothing but scikit-learn's own code."""
    from sklearn.metrics import _scorer

    several = getattr(scorer, "_scorers", None)
    if type(scorer) is _scorer._MultimetricScorer and isinstance(several, dict):
        return all(is_plain_scorer(each) for each in several.values())
    if type(scorer) is _scorer._PassthroughScorer:
        return True
    function = getattr(scorer, "_score_func", None)
    own = (_scorer._BaseScorer,)
    return isinstance(scorer, own) and str(getattr(function, "__module__", "")).startswith("sklearn.")


def _is_wrapped(function: Any) -> bool:
    kind = type(function)
    return kind.__name__ == "_FuncWrapper" and kind.__module__ == "sklearn.utils.parallel"


def _same_wrapper(first: Any, other: Any) -> bool:
    names = ("config", "warning_filters")
    return type(first) is type(other) and all(
        getattr(first, name, None) is getattr(other, name, None) for name in names
    )


def _has_callbacks(context: Any, held: Sequence[Any]) -> bool:
    """Whether anybody watches: callbacks of the search, or of an estimator inside, which it passes its place to."""
    if getattr(context, "_callbacks", True):
        return True
    return any(getattr(each, "_skl_callbacks", None) for one in held for each in estimators_in(one))


def estimators_in(thing: Any) -> Iterator[Any]:
    """An estimator and all that it is made of, as far as its parameters show; nothing for other things."""
    if isinstance(thing, (list, tuple)):
        for each in thing:
            yield from estimators_in(each)
    elif hasattr(thing, "get_params") and not isinstance(thing, type):
        yield thing
        for value in thing.get_params(deep=False).values():
            yield from estimators_in(value)


# -- scikit-learn: what a fit is made of --------------------------------------------------------------------

OPTIONS = _ARGUMENTS - set(_TAKEN) | _CALLBACKS  # the keyword arguments that do not name the work itself
_EXCHANGED = frozenset(("_safe_split", "_score", "time"))
_SPLIT = ["estimator", "X", "y", "indices", "train_indices"]
_SCORE = ["estimator", "X_test", "y_test", "scorer", "score_params", "error_score"]


@functools.cache
def is_known_shape() -> bool:
    """Whether ``_fit_and_score`` is built as the one that sharing was written for, which is that of 1.9."""
    theirs = _validation()
    whole = theirs._fit_and_score
    if type(whole) is not FunctionType or whole.__closure__:
        return False
    return (
        set(inspect.signature(whole).parameters) == _ARGUMENTS | _CALLBACKS
        and _EXCHANGED.issubset(whole.__code__.co_names)
        and list(inspect.signature(theirs._safe_split).parameters) == _SPLIT
        and list(inspect.signature(theirs._score).parameters) == _SCORE
    )


def is_plain_configuration() -> bool:
    """Whether neither metadata routing nor array API dispatch is on: both reach deeper than sharing looks."""
    import sklearn

    config = sklearn.get_config()
    return not (config["enable_metadata_routing"] or config["array_api_dispatch"])


def rewired(split: Callable[..., Any], scoring: Callable[..., Any], clock: Any) -> Callable[..., Any]:
    """scikit-learn's own ``_fit_and_score`` in a world where slices, scores and the time come from us.

    The code is the same object, so that results, messages and tracebacks are scikit-learn's; nothing global is changed.
    """
    whole = _validation()._fit_and_score
    world = {**whole.__globals__, "_safe_split": split, "_score": scoring, "time": clock}
    twin = FunctionType(whole.__code__, world, whole.__name__, whole.__defaults__)
    twin.__kwdefaults__ = whole.__kwdefaults__
    return twin


def split(estimator: Any, X: Any, y: Any, indices: Any, train_indices: Any = None) -> tuple[Any, Any]:
    """The rows of a fold, as scikit-learn takes them; of a kernel matrix the columns, too."""
    found: tuple[Any, Any] = _validation()._safe_split(estimator, X, y, indices, train_indices)
    return found


def rows(of: Any, indices: Any) -> Any:
    """These rows, as scikit-learn takes them."""
    return _validation()._safe_indexing(of, indices)


def score(estimator: Any, X: Any, y: Any, scorer: Any, params: Any, error_score: Any) -> Any:
    """The score of a fitted estimator, or the scores."""
    return _validation()._score(estimator, X, y, scorer, params, error_score)


def is_pairwise(estimator: Any) -> bool:
    """Whether the estimator takes a kernel matrix, of which a fold is rows and columns."""
    from sklearn.utils import get_tags

    return bool(get_tags(estimator).input_tags.pairwise)


def metrics_of(scorer: Any) -> list[Any] | None:
    """The functions that score predictions, if all that this scorer does with the estimator is predict.

    None stands for a callable of the user's that is given the estimator itself. The estimator's own ``score`` counts
    as no function.
    """
    from sklearn.metrics import _scorer

    if type(scorer) is _scorer._MultimetricScorer:
        found = [metrics_of(each) for each in scorer._scorers.values()]
        return None if None in found else [function for functions in found for function in functions or ()]
    if type(scorer) is _scorer._PassthroughScorer:
        return []
    if type(scorer) is _scorer._Scorer:
        return [scorer._score_func]
    return None
