"""From calls of scikit-learn's ``_fit_and_score`` to units of work; here every call is a unit of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class FitCall(NamedTuple):
    """One call of ``_fit_and_score``, in the caller's order.

    Attributes:
        estimator: the clone that the call carries.
        X, y: whole; the same objects in every call of a batch.
        train, test: indices of the fold.
        options: the other keyword arguments, as given.
    """

    estimator: Any
    X: Any
    y: Any
    train: Any
    test: Any
    parameters: dict[str, Any] | None
    scorer: Any
    fit_params: Any
    score_params: Any
    options: dict[str, Any]


class Unit:
    """What one worker runs at once. Pickled, it carries no data: X and y come when it runs.

    Attributes:
        indices: which calls it answers.
        description: what is shared, in words; empty where nothing is.
    """

    __slots__ = ("_call", "description", "indices")

    def __init__(self, index: int, call: FitCall) -> None:
        self.indices: tuple[int, ...] = (index,)
        self.description = ""
        self._call = call._replace(X=None, y=None)

    def __reduce__(self) -> tuple[Any, ...]:
        return Unit, (self.indices[0], self._call)

    def run(self, X: Any, y: Any) -> list[Any]:
        """One result of ``_fit_and_score`` for each index; raises what stock scikit-learn raises."""
        from allcores.sklearn.compat import fit_and_score

        return [fit_and_score(self._call._replace(X=X, y=y))]


def units(calls: Sequence[FitCall], *, workers: int) -> list[Unit]:
    """The units that answer these calls."""
    return [Unit(index, call) for index, call in enumerate(calls)]
