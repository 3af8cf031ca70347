"""What a search of ours sees of its fits: for the progress bar, for what is kept on Ctrl-C, and for ``explain``."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from allcores.sklearn import compat, durations
from allcores.sklearn.plan import SearchPlan
from allcores.sklearn.sharing import FitCall, Unit


class Round(NamedTuple):
    """Candidates that are evaluated together.

    Attributes:
        candidates: their parameters.
        more_results: columns of ``cv_results_`` beside the scores; a list of one value for each candidate.
        results: of the fits, candidate by candidate and fold by fold; None where there is none yet.
    """

    candidates: list[dict[str, Any]]
    more_results: dict[str, list[Any]]
    results: list[Any]

    def folds(self) -> int:
        return len(self.results) // max(1, len(self.candidates))

    def of(self, candidate: int) -> list[Any] | None:
        """The results of all folds of a candidate; None where one is missing."""
        folds = self.folds()
        found = self.results[candidate * folds : (candidate + 1) * folds]
        return None if not found or any(each is None for each in found) else found


class Watch:
    """Follows one fit of a search.

    Args:
        timeout: seconds that one fit may take, or None.
        metric: which score is the best one's; None where there is one score.
        progress: True, or a label, for a bar.

    Attributes:
        searching: the fits that are run now are the search's, and not its last one.
        rounds: what was evaluated so far.
    """

    def __init__(
        self, timeout: float | None = None, metric: str | None = None, progress: bool | str | None = None
    ) -> None:
        self.timeout = timeout
        self.searching = True
        self.rounds: list[Round] = []
        self._metric = metric
        self._best = -math.inf
        self._progress = progress
        self._bar: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Watch, ()  # where a search travels, nobody watches

    def watched(self, evaluate: Callable[..., Any]) -> Callable[..., Any]:
        """scikit-learn's ``evaluate_candidates``, which from now on says what it evaluates."""

        def evaluate_candidates(
            candidate_params: Any, cv: Any = None, more_results: Any = None, **context: Any
        ) -> Any:
            candidates = list(candidate_params)
            more = {name: list(values) for name, values in (more_results or {}).items()}
            self.rounds.append(Round(candidates, more, []))
            return evaluate(candidates, cv, more_results=more_results, **context)

        return evaluate_candidates

    # -- what fits.run tells --------------------------------------------------------------------------

    def answers(self, calls: list[FitCall], units: list[Unit]) -> list[Any] | None:
        """The results of these calls, where they need not be made; None where they are to be made."""
        if self.rounds:
            self.rounds[-1].results[:] = [None] * len(calls)
        if self._progress and self._bar is None:
            from tqdm.auto import tqdm

            label = self._progress if isinstance(self._progress, str) else None
            self._bar = tqdm(total=0, desc=label, unit="fit", dynamic_ncols=True)
        if self._bar is not None:
            self._bar.total += len(calls)
            self._bar.refresh()
        return None

    def finished(self, index: int, result: Any) -> None:
        """A call has its result."""
        if not self.rounds:
            return
        current = self.rounds[-1]
        current.results[index] = result
        if self._bar is None:
            return
        whole = current.of(index // max(1, current.folds()))
        if whole is not None and (score := self._mean(whole)) > self._best:
            self._best = score
            self._bar.set_postfix_str(f"best score {score:.4g}", refresh=False)
        self._bar.update()

    def unrecognised(self, reason: str) -> None:
        """The calls run plainly. Raises ValueError where a time limit cannot be kept then."""
        if self.timeout is not None:
            raise ValueError(f"timeout= cannot be kept for these fits: {reason}; leave it out")

    def _mean(self, results: list[Any]) -> float:
        try:
            scores = [each["test_scores"] for each in results]
            if isinstance(scores[0], dict):
                scores = [each[self._metric] for each in scores]
            return float(sum(scores) / len(scores))
        except (KeyError, TypeError):
            return -math.inf

    # -- the end ----------------------------------------------------------------------------------------

    def close(self) -> None:
        """The search is over."""
        if self._bar is not None:
            self._bar.close()

    def whole_candidates(self) -> tuple[list[dict[str, Any]], list[Any], dict[str, list[Any]], int]:
        """Candidates all of whose folds are done: parameters, results, further columns, and the number of folds."""
        candidates: list[dict[str, Any]] = []
        results: list[Any] = []
        more: dict[str, list[Any]] = {}
        folds = max((each.folds() for each in self.rounds), default=0)
        for each in self.rounds:
            for number, candidate in enumerate(each.candidates):
                if (done := each.of(number)) is not None:
                    candidates.append(candidate)
                    results += done
                    for name, values in each.more_results.items():
                        more.setdefault(name, []).append(values[number])
        return candidates, results, more, folds


class Rehearsal(Watch):
    """Lets a search go through without a fit, and takes down what it would have done."""

    def __init__(self, n_jobs: int, timeout: float | None) -> None:
        super().__init__(timeout)
        self.plan = SearchPlan(n_jobs)

    def answers(self, calls: list[FitCall], units: list[Unit]) -> list[Any] | None:
        """Scores that are all the same."""
        known = durations.predicted(calls)
        if not any(known) and self.plan.measured_seconds is None:
            self.plan.measured_seconds = _measured_seconds(calls[0])
        self.plan.add(self.rounds[-1].candidates if self.rounds else [], len(calls), units, known)
        return [compat.result_of(call, 0.0, 0.0) for call in calls]

    def unrecognised(self, reason: str) -> None:
        """The calls would run plainly."""
        super().unrecognised(reason)
        raise Unrecognised(reason)


class Unrecognised(Exception):
    """A rehearsal ends here: nobody knows what would follow."""


def _measured_seconds(call: FitCall) -> float:
    """What one fit takes."""
    from sklearn.base import clone

    began = time.perf_counter()
    compat.fit_and_score(call._replace(estimator=clone(call.estimator)), call.X, call.y)
    return time.perf_counter() - began
