"""One call of ``_fit_and_score``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class FitCall(NamedTuple):
    """One call of ``_fit_and_score``: a clone, the whole data, a fold, and what to set, fit and score with."""

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

    def run(self, fit_and_score: Callable[..., Any], X: Any, y: Any) -> Any:
        """Make the call, on data that is no longer part of it."""
        work = {**self._asdict(), **self.options, "X": X, "y": y}
        del work["options"]
        return fit_and_score(work.pop("estimator"), work.pop("X"), work.pop("y"), **work)
