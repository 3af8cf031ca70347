"""The pieces that streams build their reductions from. They are importable, so they travel by name."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def nothing(value: Any) -> bool:
    """No value passes this filter."""
    return False


def fold(init: Callable[[], Any], step: Callable[[Any, Any], Any], values: list[Any]) -> Any:
    """Folds values from the left."""
    accumulator = init()
    for value in values:
        accumulator = step(accumulator, value)
    return accumulator


def fold_by(
    key: Callable[[Any], Any], init: Callable[[], Any], step: Callable[[Any, Any], Any], values: list[Any]
) -> dict[Any, Any]:
    """Folds values from the left, separately for each key."""
    accumulators: dict[Any, Any] = {}
    for value in values:
        name = key(value)
        accumulator = accumulators[name] if name in accumulators else init()
        accumulators[name] = step(accumulator, value)
    return accumulators


def merge_by(merge: Callable[[Any, Any], Any], left: dict[Any, Any], right: dict[Any, Any]) -> dict[Any, Any]:
    """Joins two dicts of accumulators; the keys of the left one come first."""
    for name, accumulator in right.items():
        left[name] = merge(left[name], accumulator) if name in left else accumulator
    return left


def choose_one(choose: Callable[..., Any], key: Callable[[Any], Any] | None, left: Any, right: Any) -> Any:
    """The smaller or larger of two, the left one where they are equal."""
    return choose((left, right), key=key)
