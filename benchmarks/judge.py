"""From paired seconds to a verdict. Pure: numbers in, numbers out."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from statistics import median
from typing import NamedTuple

DEFAULT_BAR = 1.05  # allcores against the best rival as it comes
TUNED_BAR = 1.15  # against the best that was set up by hand for the cell
TUNED_WAITS_BAR = 1.6  # where 64 connections at once are a choice that a user makes
NEGLIGIBLE_SECONDS = 0.002
CONFIDENCE = 0.9
RESAMPLES = 2000


class Verdict(NamedTuple):
    """How allcores did against one rival."""

    rival: str
    ours_seconds: float
    rival_seconds: float
    ratio: float  # median of the paired ratios
    lower: float  # the bound above which it lies with 90 % confidence
    bar: float
    passed: bool


def choose_best(seconds: dict[str, dict[int, float]], rounds: Iterable[int]) -> str | None:
    """The rival with the smallest median over these rounds, among those that ran in all of them."""
    wanted = list(rounds)
    complete = {
        name: median(by_round[number] for number in wanted)
        for name, by_round in seconds.items()
        if all(number in by_round for number in wanted)
    }
    return min(complete, key=lambda name: complete[name], default=None)


def judge(rival: str, ours: Sequence[float], theirs: Sequence[float], bar: float) -> Verdict:
    """Compares seconds of the same rounds.

    >>> judge("loop", [1.0, 1.1, 1.0], [1.0, 1.0, 1.0], 1.05).passed
    True
    >>> judge("loop", [1.2, 1.3, 1.2], [1.0, 1.0, 1.0], 1.05).passed
    False
    >>> judge("loop", [0.003, 0.003], [0.002, 0.002], 1.05).passed
    True
    """
    ratios = [own / other for own, other in zip(ours, theirs, strict=True)]
    lower = lower_bound(ratios)
    lost = median(own - other for own, other in zip(ours, theirs, strict=True))
    passed = lower <= bar or lost < NEGLIGIBLE_SECONDS
    return Verdict(rival, median(ours), median(theirs), median(ratios), lower, bar, passed)


def lower_bound(values: Sequence[float]) -> float:
    """The median's one-sided 90 % bootstrap bound.

    >>> lower_bound([1.0, 1.0, 1.0])
    1.0
    """
    draw = random.Random(0)
    medians = sorted(median(draw.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return medians[int((1 - CONFIDENCE) * RESAMPLES)]


def geometric_mean(values: Sequence[float]) -> float:
    """
    >>> geometric_mean([0.5, 2.0])
    1.0
    """
    return math.exp(sum(map(math.log, values)) / len(values))
