"""scikit-learn's searches, with a time limit for each fit, a bar, and results that Ctrl-C does not take away."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import joblib
import sklearn.experimental.enable_halving_search_cv  # noqa: F401
from sklearn import model_selection
from sklearn.base import clone

from allcores.sklearn import compat
from allcores.sklearn.backend import AllcoresBackend
from allcores.sklearn.plan import SearchPlan
from allcores.sklearn.watch import Rehearsal, Unrecognised, Watch

_WATCH = "_allcores_watch"  # the attribute that a search has while it is fitted

_ADDED = """
    What this class adds to scikit-learn's: its fits always run on allcores.

    Args:
        timeout: seconds that one fit, with its scores, may take. One that takes longer is stopped, and gets
            ``error_score`` as any failing fit does. With a limit every fit is made for itself.
        progress: True, or a label, shows a bar with the best score so far.

    Candidates are evaluated in their order. After Ctrl-C ``cv_results_`` has those that were finished on all folds, and
    ``best_params_`` the best of them.
"""


class Searching:
    """What our searches have in common; comes before scikit-learn's class."""

    timeout: float | None
    progress: bool | str
    refit: Any

    def fit(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Runs the search; arguments as scikit-learn has them.

        Raises:
            TypeError, ValueError: ``timeout`` or ``progress`` mean nothing.
            Whatever scikit-learn raises.
        """
        _check(self.timeout, self.progress)
        metric = self.refit if isinstance(self.refit, str) else None
        watch = Watch(self.timeout, metric, self.progress or None)
        try:
            return self._fitted(watch, X, y, params)
        except KeyboardInterrupt:
            self._keep(watch)
            raise
        finally:
            watch.close()

    def explain(self, X: Any, y: Any = None, **params: Any) -> SearchPlan:
        """Says what ``fit`` with these arguments would do: how many fits, what they share, how long it would take.

        Nothing is fitted, but for one fit where the like of them has not been fitted in this process.

        Example:
            >>> from allcores.sklearn import GridSearchCV
            >>> from sklearn.datasets import load_iris
            >>> from sklearn.svm import SVC
            >>> GridSearchCV(SVC(), {"C": [1, 10]}, cv=3, n_jobs=2).explain(*load_iris(return_X_y=True)).n_fits
            6
        """
        _check(self.timeout, self.progress)
        twin = clone(self).set_params(refit=False, verbose=0)
        rehearsal = Rehearsal(_backend(None).effective_n_jobs(_asked(self)), self.timeout)
        try:
            twin._fitted(rehearsal, X, y, params)
        except Unrecognised as error:
            rehearsal.plan.reason = str(error)
        return rehearsal.plan

    def _fitted(self, watch: Watch, X: Any, y: Any, params: dict[str, Any]) -> Any:
        setattr(self, _WATCH, watch)
        try:
            with joblib.parallel_config(_backend(watch)):
                return super().fit(X, y, **params)  # type: ignore[misc]
        finally:
            delattr(self, _WATCH)

    def _run_search(self, evaluate_candidates: Callable[..., Any], callback_ctx: Any = None) -> None:
        run = super()._run_search  # type: ignore[misc]
        watch: Watch | None = getattr(self, _WATCH, None)
        if watch is not None:
            evaluate_candidates = watch.watched(evaluate_candidates)
        context = (
            {"callback_ctx": callback_ctx} if "callback_ctx" in inspect.signature(run).parameters else {}
        )
        try:
            run(evaluate_candidates, **context)
        finally:
            if watch is not None:
                watch.searching = False

    def _keep(self, watch: Watch) -> None:
        """What was finished before Ctrl-C."""
        candidates, results, more, folds = watch.whole_candidates()
        if candidates:
            compat.keep_results(self, candidates, folds, results, more)


def _with_options(theirs: type) -> Callable[[type], type]:
    """Gives our class the parameters of theirs and ours, by a signature as scikit-learn reads it."""

    def decorate(ours: type) -> type:
        stock = inspect.signature(theirs.__init__)  # type: ignore[misc]
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
            for name, default in (("timeout", None), ("progress", False))
        ]

        @functools.wraps(theirs.__init__)  # type: ignore[misc]
        def __init__(  # noqa: N807
            self: Any, *args: Any, timeout: Any = None, progress: Any = False, **kwargs: Any
        ) -> None:
            theirs.__init__(self, *args, **kwargs)  # type: ignore[misc]
            self.timeout = timeout
            self.progress = progress

        __init__.__signature__ = stock.replace(  # type: ignore[attr-defined]
            parameters=[*stock.parameters.values(), *added]
        )
        ours.__init__ = __init__  # type: ignore[misc]
        text = inspect.cleandoc(theirs.__doc__ or "").partition("\nExamples\n")[0].rstrip()
        ours.__doc__ = f"{text}\n\n{inspect.cleandoc(_ADDED)}\n"
        return ours

    return decorate


@_with_options(model_selection.GridSearchCV)
class GridSearchCV(Searching, model_selection.GridSearchCV):
    """See scikit-learn."""


@_with_options(model_selection.RandomizedSearchCV)
class RandomizedSearchCV(Searching, model_selection.RandomizedSearchCV):
    """See scikit-learn."""


@_with_options(model_selection.HalvingGridSearchCV)
class HalvingGridSearchCV(Searching, model_selection.HalvingGridSearchCV):
    """See scikit-learn."""


@_with_options(model_selection.HalvingRandomSearchCV)
class HalvingRandomSearchCV(Searching, model_selection.HalvingRandomSearchCV):
    """See scikit-learn."""


def _backend(watch: Watch | None) -> AllcoresBackend:
    """One that counts on the cores of the place where the search is fitted."""
    active, _ = joblib.parallel.get_active_backend()
    level = active.nesting_level or 0
    cores = active.effective_n_jobs(-1) if level else None
    inner_threads = getattr(active, "inner_max_num_threads", None)
    return AllcoresBackend(level, inner_threads, cores=cores, watcher=watch)


def _asked(search: Any) -> int | None:
    """The number of jobs that was asked for, by the search or around it."""
    if search.n_jobs is not None:
        return int(search.n_jobs)
    n_jobs: int | None = joblib.parallel.get_active_backend()[1]
    return n_jobs


def _check(timeout: Any, progress: Any) -> None:
    if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, (int, float))):
        raise TypeError(f"timeout must be a number of seconds, for example timeout=60, not {timeout!r}")
    if timeout is not None and not timeout > 0:
        raise ValueError(
            f"timeout is in seconds and must be more than 0, not {timeout!r}; leave it out for no limit"
        )
    if not isinstance(progress, (bool, str)):
        raise TypeError(f"progress must be True or a label for the bar, not {progress!r}")
