"""How long fits took: when the like of them comes again the longest go first, and nothing is started for short ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from allcores.sklearn.sharing import FitCall

MOST_REMEMBERED = 10_000
SHORT_SECONDS = 0.015  # to start threads for so much gains nothing
FEW_VALUES = 20_000  # in the data of all fits: those of the thread-safe table take about as long for so many

_seconds: dict[str, float] = {}  # of one fit and its scores, by what was fitted; the most recent last


class _Indexed(Protocol):
    @property
    def indices(self) -> tuple[int, ...]: ...


Indexed = TypeVar("Indexed", bound=_Indexed)


def remember(names: Sequence[str], results: Sequence[Any]) -> None:
    """Takes in how long each call of a batch took, where its result says so."""
    for name, result in zip(names, results, strict=True):
        if isinstance(result, dict) and result.get("fit_error") is None and "fit_time" in result:
            _seconds.pop(name, None)
            _seconds[name] = float(result["fit_time"]) + float(result.get("score_time", 0.0))
    while len(_seconds) > MOST_REMEMBERED:
        del _seconds[next(iter(_seconds))]


def predicted(calls: Sequence[FitCall]) -> list[float | None]:
    """Seconds that each call of a batch took when it was last made with as many rows; None if it never was."""
    return [_seconds.get(name) for name in names_of(calls)] if _seconds else [None] * len(calls)


def are_short(calls: Sequence[FitCall]) -> bool:
    """Whether all calls together took next to no time when they were last made."""
    known = predicted(calls)
    return None not in known and sum(each or 0.0 for each in known) < SHORT_SECONDS


def should_be_short(calls: Sequence[FitCall]) -> bool:
    """Whether all calls together have little to do, where nobody knows how long they take."""
    return None in predicted(calls) and is_little(calls[0].X, len(calls))


def is_little(X: Any, fits: int) -> bool:
    """Whether so many fits of estimators that are in the thread-safe table have little to do with this data."""
    values: int = getattr(X, "size", FEW_VALUES)
    return values * fits < FEW_VALUES


def longest_first(errands: list[Indexed], calls: Sequence[FitCall]) -> list[Indexed]:
    """In the order to start them; those of which nothing is known keep their places before the others."""
    seconds = [float("inf") if known is None else known for known in predicted(calls)]
    return sorted(errands, key=lambda errand: sum(seconds[each] for each in errand.indices), reverse=True)


def names_of(calls: Sequence[FitCall]) -> list[str]:
    """What is fitted: the estimator (the calls of a batch carry clones of one), its parameters, and how many rows.

    To be asked before the fits: those that run in this process give their estimators other parameters.
    """
    estimator = repr(calls[0].estimator)
    return [f"{len(call.train)} {call.parameters!r} {estimator}" for call in calls]
