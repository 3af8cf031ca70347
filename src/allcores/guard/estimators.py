"""Estimators, in the manner of scikit-learn: what ``fit`` learns, it writes to the object itself."""

from __future__ import annotations

from allcores.guard.things import UNKNOWN, lookup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


PROTOCOL = ("fit", "get_params")  # who has both keeps what it has learned in its attributes
WRITES = frozenset(("fit", "partial_fit", "fit_transform", "fit_predict", "set_params"))
REMEDY = (
    "In another process this changes a copy, and what it has learned is lost here. Fit a copy that each item makes "
    "for itself, and return that if you need it: sklearn.base.clone(model).fit(...); "
    'writes="allow" if it may be lost'
)


def is_estimator(value: Any) -> bool:
    """Whether this object learns by ``fit``."""
    kind = type(value)
    return all(lookup(kind, name) is not UNKNOWN for name in PROTOCOL)


def learns(value: Any, method: str) -> bool:
    """Whether this method makes an estimator learn, and so change.

    Example:
        >>> class Mean:
        ...     def get_params(self, deep=True): ...
        ...     def fit(self, X, y=None): ...
        >>> learns(Mean(), "fit"), learns(Mean(), "predict"), learns([], "fit")
        (True, False, False)
    """
    return method in WRITES and is_estimator(value)
