"""The calls of one fold, run by scikit-learn's own code while what they have in common is done once."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

from sklearn.base import clone
from sklearn.pipeline import Pipeline

from allcores.sklearn import compat
from allcores.sklearn.sharing import keys, prefixes, sizes
from allcores.sklearn.sharing.calls import FitCall
from allcores.sklearn.sharing.lease import Clock, GivenUp, Lease
from allcores.sklearn.sharing.memo import LEAST_ROOM_BYTES, ROOM_IN_FOLDS, Memo, is_stable, size_bytes
from allcores.sklearn.sharing.warned import Shown, held


class Answer(NamedTuple):
    """What a call returned, what it showed, and whether an equal call would return and show the same."""

    result: Any
    log: list[Shown]
    is_repeatable: bool


class Fold:
    """Runs calls that have the data and the fold in common."""

    def __init__(self, X: Any, y: Any) -> None:
        self.X = X
        self.y = y
        self.memo = Memo()
        self._slices: dict[tuple[bool, bool], Any] = {}  # of X: of the training part, of a kernel matrix

    def answer(self, call: FitCall) -> Answer:
        """Run a call; what fails while it is shared is run again, plainly, for scikit-learn's own error.

        Raises:
            Exception: what scikit-learn raises.
        """
        attempt = Attempt(self, call)
        try:
            # As scikit-learn does it, so that "once per place" is once per call.
            with warnings.catch_warnings(), held() as log:
                result = attempt.run()
                if any(shown.is_ours() for shown in log):
                    raise GivenUp
            return Answer(result, log, attempt.is_repeatable())
        except GivenUp:
            again = call._replace(estimator=clone(call.estimator))
        with warnings.catch_warnings():
            return Answer(compat.fit_and_score(again, self.X, self.y), [], False)

    def repeat(self, answer: Answer, call: FitCall) -> Answer:
        """Answer a call that is equal to one that was answered, with what was shown then."""
        if (
            not answer.is_repeatable
            or call.options.get("return_estimator")
            or call.options.get("verbose", 0) > 1
        ):
            return self.answer(call)
        with warnings.catch_warnings():
            for shown in answer.log:
                shown.again()
        scores = {name: dict(value) for name, value in answer.result.items() if isinstance(value, dict)}
        result = {**answer.result, **scores}
        if "parameters" in result:
            result["parameters"] = call.parameters
        return answer._replace(result=result)

    def samples(self, estimator: Any, *indices: Any) -> Any:
        """Return the samples that ``_safe_split`` returns: the same to everybody, if nobody who reads reorders them."""
        which = (len(indices) == 1, compat.is_pairwise(estimator))
        found = self._slices.get(which)
        if found is None:
            found, _ = compat.split(estimator, self.X, None, *indices)
            if is_stable(found):
                self._slices[which] = found
                self.memo.learn(found)
                wanted_bytes = ROOM_IN_FOLDS * sum(map(size_bytes, self._slices.values()))
                self.memo.room_bytes = max(LEAST_ROOM_BYTES, wanted_bytes)
        return found


class Attempt:
    """One call while it shares: what scikit-learn's code asks for on the way is answered here."""

    def __init__(self, fold: Fold, call: FitCall) -> None:
        self._fold = fold
        self._call = call
        self._clock = Clock()
        self._metrics = compat.metrics_of(call.scorer)
        shows_estimator = self._metrics is None or bool(call.options.get("return_estimator"))
        self._lease = Lease(fold.memo, self._clock, is_private=shows_estimator)
        self._is_shared = False
        self._final_draws = True  # as far as one knows
        self._train: tuple[Any, Any, Any] = (None, None, None)  # samples, targets, indices
        self._test: Any = None

    def run(self) -> Any:
        """Fit and score."""
        self._fold.memo.call_begins()
        rewired = compat.rewired(self.split, self.score, self._clock)
        try:
            return self._call.run(rewired, self._fold.X, self._fold.y)
        finally:
            self._lease.end()
            self._fold.memo.forget(self._train[1])

    def is_repeatable(self) -> bool:
        """Say whether an equal call would come to the same: nothing draws, and no code is the user's."""
        if self._final_draws or self._lease.drew or self._metrics is None:
            return False
        return all(keys.is_metric(each) for each in self._metrics)

    def split(
        self, estimator: Any, X: Any, y: Any, indices: Any, train_indices: Any = None
    ) -> tuple[Any, Any]:
        """Slice the data. The training part comes first: then the parameters are set, and the fit is next.

        Targets are sliced for everybody anew, as metrics of the user's may write into them.
        """
        is_train = train_indices is None
        if is_train:
            self._is_shared = self._lend(estimator)
        if not self._is_shared:
            return compat.split(estimator, X, y, indices, train_indices)
        samples = self._fold.samples(estimator, *((indices,) if is_train else (indices, train_indices)))
        targets = None if y is None else compat.rows(y, indices)
        if is_train:
            self._train = (samples, targets, indices)
            self._fold.memo.learn(targets, "the targets of the training samples")
        else:
            self._test = indices
        return samples, targets

    def score(
        self, estimator: Any, X: Any, y: Any, scorer: Any, params: Any, error_score: Any = "raise"
    ) -> Any:
        """Score; whoever is given the estimator itself sees nothing that is shared."""
        if self._metrics is None:
            self._lease.end()
            if self._is_shared:
                samples, _, train = self._train
                indices = (train,) if X is samples else (self._test, train)
                X, _ = compat.split(estimator, self._fold.X, None, *indices)
        return compat.score(estimator, X, y, scorer, params, error_score)

    def _lend(self, estimator: Any) -> bool:
        """Lend to an estimator what it can share; say whether it may see slices of the data that others see."""
        if type(estimator) is Pipeline:
            may_see = prefixes.is_usual(estimator) and prefixes.lend_prefix(estimator, self._lease)
            final = estimator.steps[-1][1] if may_see else None
        else:
            may_see, final = keys.has_key(estimator) and not self._lease.is_private, estimator
        if not may_see or prefixes.is_placeholder(final):
            self._final_draws = not may_see
        elif keys.has_key(final):
            self._final_draws = keys.draws(final, None)
            sizes.lend_sizes(final, self._lease)
        return may_see
