"""The steps before the last, fitted once a fold, and each fold transformed once.

Which candidates have beginnings in common is never computed: the first step sees a slice of the data that the memo
knows, the second what the first made of it, and so on; equal beginnings find the same objects, and the trie is what
results. Compositions run by their own code with their parts lent as well, and are shared whole if all of these were.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import ExitStack
from typing import Any

from joblib import effective_n_jobs
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline

from allcores.sklearn.sharing import sizes
from allcores.sklearn.sharing.keys import Opaque, draws, has_key, is_bare, key
from allcores.sklearn.sharing.lease import GivenUp, Lease, gives_up, learned
from allcores.sklearn.sharing.memo import Entry, copy_of, is_alike_when_copied, is_stable

# Where compositions that fit their parts in place keep them.
_PARTS = {Pipeline: "steps", FeatureUnion: "transformer_list"}


def lend_prefix(pipeline: Any, lease: Lease) -> bool:
    """Lend remembering methods to the transformers of a pipeline up to the first that cannot be shared.

    Those after that, and last steps that the user will see, get copies: they might write into them, or keep them.

    Returns:
        Whether the pipeline may see slices of the data that others see as well.
    """
    last: Transformer | None = None
    steps = [step for _, step in pipeline.steps if not is_placeholder(step)]
    while len(steps) > 1 or (steps and is_placeholder(pipeline.steps[-1][1])):
        lent = lend(steps[0], lease)
        if lent is None:
            break
        last = lent
        del steps[0]
    if all(map(has_key, steps)) and not lease.is_private:
        return True
    if last is not None:
        last.hands_out_copies = True
    return last is not None


def lend(estimator: Any, lease: Lease) -> Transformer | None:
    """Lend remembering methods to a transformer and its parts; ``None`` if it is not one that can be shared."""
    try:
        name = key(estimator)
    except Opaque:
        return None
    if not (hasattr(estimator, "fit_transform") and hasattr(estimator, "transform")):
        return None
    kind = type(estimator)
    lent: Transformer
    if kind in _PARTS and effective_n_jobs(getattr(estimator, "n_jobs", 1)) == 1:
        parts = [part for _, part in getattr(estimator, _PARTS[kind]) if not is_placeholder(part)]
        if all(hasattr(part, "fit_transform") and hasattr(part, "transform") for part in parts):
            lent = (Union if kind is FeatureUnion else Composition)(estimator, name, lease)
            for part in parts:
                lend(part, lease)
            return lent
    if kind is ColumnTransformer and effective_n_jobs(estimator.n_jobs) == 1:
        return Columns(estimator, name, lease)
    return Transformer(estimator, name, lease)


def is_placeholder(step: Any) -> bool:
    """Say whether a step is none: ``None``, "passthrough" or "drop"."""
    return step is None or isinstance(step, str)


def is_usual(pipeline: Any) -> bool:
    """Say whether a pipeline is its steps and nothing else: no cache, no messages, no routing."""
    return (
        is_bare(pipeline)
        and pipeline.memory is None
        and pipeline.transform_input is None
        and not pipeline.verbose
        and type(pipeline.steps) is list
        and len(pipeline.steps) > 0
        and all(type(step) is tuple and len(step) == 2 for step in pipeline.steps)
    )


class Transformer:
    """The methods of ours that a transformer carries for a while."""

    def __init__(self, estimator: Any, name: Hashable, lease: Lease) -> None:
        self.estimator = estimator
        self.lease = lease
        self.given: Hashable = None  # the token of what it is about to see, where that is new every time
        self.hands_out_copies = False
        self._name = name
        self._fitted: Hashable = None
        lease.borrow(estimator, "fit_transform", self.fit_transform)

    @gives_up
    def fit_transform(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Fit and transform, or become as fitted as somebody equal did."""
        vars(self.estimator).pop("fit_transform", None)
        seen, target = self._token(X), self.lease.memo.token(y)
        if params or seen is None or target is None or self._draws(X):
            self.lease.drew = True
            return self._fit(X, y, **params)
        what = ("fit", self._name, seen, target)
        with ExitStack() as around:
            around.enter_context(self.lease.memo.knowing(X, seen))
            if sizes.is_scored(self.estimator):
                around.enter_context(sizes.scores_once(self.estimator, self.lease, (seen, target)))
            entry, was_found = self.lease.once(what, lambda: self._fit(X, y), self._state)
        if was_found:
            vars(self.estimator).update(self.lease.state(entry))
        self._fitted = what if entry.token is not None else None
        self.lease.borrow(self.estimator, "transform", self.transform)
        return self._handed_out(what, entry)

    @gives_up
    def transform(self, X: Any, **params: Any) -> Any:
        """Transform, or return what somebody equal made of the same."""
        seen = self._token(X)
        if params or seen is None or self._fitted is None:
            return self._transform(X, **params)
        what = ("transform", self._fitted, seen)
        with self.lease.memo.knowing(X, seen):
            entry, _ = self.lease.once(what, lambda: self._transform(X))
        return self._handed_out(what, entry)

    def _fit(self, X: Any, y: Any, **params: Any) -> Any:
        return self.estimator.fit_transform(X, y, **params)

    def _transform(self, X: Any, **params: Any) -> Any:
        vars(self.estimator).pop("transform", None)
        try:
            return self.estimator.transform(X, **params)
        finally:
            self.lease.borrow(self.estimator, "transform", self.transform)

    def _draws(self, X: Any) -> bool:
        return draws(self.estimator, _shape(X))

    def _token(self, X: Any) -> Hashable:
        return self.lease.memo.token(X) or self.given

    def _state(self) -> dict[str, Any]:
        return learned(self.estimator)

    def _handed_out(self, what: Hashable, entry: Entry) -> Any:
        if entry.token is None:
            return entry.value
        if self.hands_out_copies:
            if not is_alike_when_copied(entry.value):
                self.lease.memo.failed.add(what)
                raise GivenUp
            return copy_of(entry.value)
        if not is_stable(entry.value):
            return self.lease.known_copy(entry)
        self.lease.memo.learn(entry.value, entry.token)
        return entry.value


class Composition(Transformer):
    """A Pipeline among transformers, or a FeatureUnion: what they were made of is fitted in place."""

    def _draws(self, X: Any) -> bool:
        return False  # each part says so itself

    def _state(self) -> dict[str, Any]:
        parts = _PARTS[type(self.estimator)]
        return {**super()._state(), parts: list(getattr(self.estimator, parts))}


class Union(Composition):
    """A FeatureUnion: if one part may put in order what the next is about to see, nothing is shared."""

    def _token(self, X: Any) -> Hashable:
        if not is_stable(X):
            self.lease.memo.forget(X)
            return None
        return super()._token(X)


class Columns(Transformer):
    """A ColumnTransformer: its parts are cloned before they are fitted, and see new slices of the same columns."""

    def __init__(self, estimator: Any, name: Hashable, lease: Lease) -> None:
        super().__init__(estimator, name, lease)
        parts = [(part, key(columns)) for _, part, columns in estimator.transformers]
        parts.append((estimator.remainder, tuple(columns for _, columns in parts)))
        self._originals = [
            Original(part, columns, lease) for part, columns in parts if not is_placeholder(part)
        ]

    def _draws(self, X: Any) -> bool:
        return False

    def _fit(self, X: Any, y: Any, **params: Any) -> Any:
        return self._feeding(X, lambda: super(Columns, self)._fit(X, y, **params))

    def _transform(self, X: Any, **params: Any) -> Any:
        return self._feeding(X, lambda: super(Columns, self)._transform(X, **params))

    def _feeding(self, X: Any, run: Callable[[], Any]) -> Any:
        seen = self._token(X)
        for original in self._originals:
            original.give(seen and ("columns", seen, original.columns))
        try:
            return run()
        finally:
            for original in self._originals:
                original.give(None)


class Original:
    """A part of a ColumnTransformer before it is cloned: its clone is lent to like any transformer."""

    def __init__(self, part: Any, columns: Hashable, lease: Lease) -> None:
        self.columns = columns
        self._part = part
        self._lease = lease
        self._given: Hashable = None
        self._clone: Transformer | None = None
        lease.borrow(part, "__sklearn_clone__", self.cloned)

    def cloned(self) -> Any:
        """Clone the part, and lend to the clone."""
        del vars(self._part)["__sklearn_clone__"]
        twin = clone(self._part)
        self._lease.borrow(self._part, "__sklearn_clone__", self.cloned)
        self._clone = lend(twin, self._lease)
        if self._clone is None:
            self._lease.drew = True
        self.give(self._given)
        return twin

    def give(self, token: Hashable) -> None:
        """Say what the clone is about to see."""
        self._given = token
        if self._clone is not None:
            self._clone.given = token


def _shape(X: Any) -> tuple[int, int] | None:
    shape: tuple[int, ...] = getattr(X, "shape", ())
    return (shape[0], shape[1]) if len(shape) == 2 and not sparse.issparse(X) else None
