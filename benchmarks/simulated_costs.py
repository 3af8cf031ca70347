"""What items cost in simulations: shapes that schedulers are known to stumble over, seeded, with a given mean."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

RARE = 0.1  # the share of the items that are long, where some are
LONG = 20.0  # times as long as the others


def _uniform(random: Random, count: int) -> list[float]:
    return [random.uniform(0, 2) for _ in range(count)]


def _pareto(random: Random, count: int) -> list[float]:
    return [random.paretovariate(1.1) for _ in range(count)]


def _bimodal(random: Random, count: int) -> list[float]:
    return [LONG if random.random() < RARE else 1.0 for _ in range(count)]


def _front_loaded(random: Random, count: int) -> list[float]:
    return _back_loaded(random, count)[::-1]


def _back_loaded(random: Random, count: int) -> list[float]:
    """The last tenth is long; all vary by a fifth."""
    short = count - int(RARE * count)
    return [random.uniform(0.8, 1.2) * (1.0 if item < short else LONG) for item in range(count)]


SHAPES: dict[str, Callable[[Random, int], list[float]]] = {
    "uniform": _uniform,
    "Pareto(1.1)": _pareto,
    "bimodal": _bimodal,
    "front-loaded": _front_loaded,
    "back-loaded": _back_loaded,
}


def costs_of(shape: str, count: int, mean_seconds: float, seed: int = 1) -> list[float]:
    """Seconds, by item.

    >>> costs_of("uniform", 4, 0.5) == costs_of("uniform", 4, 0.5)
    True
    >>> round(sum(costs_of("Pareto(1.1)", 1000, 0.01)), 6)
    10.0
    """
    raw = SHAPES[shape](Random(seed), count)
    scale = mean_seconds * count / sum(raw)
    return [cost * scale for cost in raw]
