"""The scheduler beside greedy list scheduling, which knows no chunks and no dispatch: what does it lose?

Greedy gives each item to the worker that is free first, for nothing. Here a message costs the caller 10 µs and
travels 20 µs. The bound has two parts: a tenth of greedy's time, and what the first and the last chunks cost: the
caller sends to each worker once before anybody works at all, and the last chunk may be as long as a chunk gets.
"""

import heapq
from random import Random

import pytest

from allcores.core.chunks import LONGEST_CHUNK_SECONDS
from allcores.core.rules import Rules
from simulation import Case, Simulation

SEND_SECONDS = 10e-6
LATENCY_SECONDS = 20e-6


def greedy_seconds(costs, workers):
    free_at = [0.0] * workers
    for cost in costs:
        heapq.heapreplace(free_at, free_at[0] + cost)
    return max(free_at)


def our_seconds(costs, workers, known):
    case = Case(
        costs,
        workers,
        Rules(length=len(costs) if known else None),
        boot_seconds=0.0,
        latency_seconds=LATENCY_SECONDS,
        send_seconds=SEND_SECONDS,
    )
    return Simulation(case).run().seconds


def costs_of(shape, count, mean):
    random = Random(1)
    if shape == "pareto":
        raw = [random.paretovariate(1.5) for _ in range(count)]
        return [cost * mean * count / sum(raw) for cost in raw]
    costs = [random.uniform(0, 2 * mean) for _ in range(count)]
    return sorted(costs, reverse=shape == "descending") if shape in ("ascending", "descending") else costs


@pytest.mark.parametrize("known", [True, False], ids=["length known", "length unknown"])
@pytest.mark.parametrize("shape", ["uniform", "pareto", "ascending", "descending"])
@pytest.mark.parametrize(
    ("workers", "count", "mean"),
    [(2, 2000, 1e-4), (2, 500, 1e-3), (2, 100, 1e-2), (8, 2000, 1e-3), (8, 400, 1e-2), (64, 1280, 0.1)],
)
def test_on_up_to_64_workers_hardly_anything_is_lost(workers, count, mean, shape, known):
    costs = costs_of(shape, count, mean)
    last = max(LONGEST_CHUNK_SECONDS, 2 * mean)
    bound = 1.1 * greedy_seconds(costs, workers) + last + 3 * workers * SEND_SECONDS
    assert our_seconds(costs, workers, known) <= bound


@pytest.mark.parametrize(
    ("workers", "count", "shape"),
    [
        *((1000, 3000, shape) for shape in ("uniform", "pareto", "ascending", "descending")),
        (10_000, 12_000, "uniform"),
        (10_000, 12_000, "pareto"),
    ],
)
def test_on_thousands_of_workers_the_loss_is_what_one_sender_takes(workers, count, shape):
    costs = costs_of(shape, count, 1.0)
    bound = 1.1 * greedy_seconds(costs, workers) + count * SEND_SECONDS
    assert our_seconds(costs, workers, True) <= bound
