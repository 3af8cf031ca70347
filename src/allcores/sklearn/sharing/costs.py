"""Guesses at what fits cost, in units of one final fit; order and size of units depend on them, results never."""

from __future__ import annotations

from typing import Any

from allcores.sklearn.sharing.sizes import is_scored

# By package of scikit-learn; of compositions, what their parts cost.
_STEP_COSTS = {"feature_extraction": 20.0, "preprocessing": 0.2, "impute": 0.2, "feature_selection": 0.5}
_OTHER_STEP_COST = 2.0

# What is left of the cost of an ensemble that is cut from a larger one: its predictions.
CUT_ENSEMBLE_COST = 0.1


def step_cost(step: Any) -> float:
    """Guess what fitting a transformer costs, and transforming both parts of a fold."""
    if step is None or isinstance(step, str):
        return 0.0
    parts = _parts(step)
    if parts:
        return sum(map(step_cost, parts))
    package = type(step).__module__.split(".")[1:2]
    return _STEP_COSTS.get(package[0] if package else "", _OTHER_STEP_COST)


def redo_cost(step: Any) -> float:
    """Guess what is left of that cost after a neighbour with other settings of the same step: one part differs."""
    parts = _parts(step)
    if parts:
        return step_cost(step) / len(parts)
    return 0.0 if is_scored(step) else step_cost(step)


def _parts(step: Any) -> list[Any]:
    for name in ("steps", "transformer_list", "transformers"):
        parts = getattr(step, name, None)
        if isinstance(parts, list):
            return [part[1] for part in parts if len(part) > 1]
    return []
