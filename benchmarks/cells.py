"""The workloads of the regret table.

A cell builds its input in the process that is measured, before the clock starts; what it computes is in
``work_*.py``, importable by the workers of every library. Busy work is a number of iterations, calibrated once
for the whole table, and not a time to pass: on a busy machine it takes longer, for everybody.

The processes that are measured import this file, so it imports only what it needs.
"""

from __future__ import annotations

import functools
import random
import time
from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

# function: what is done with each item; items(): the input, anew for each call; ending: list, or sum of the results;
# blocking: where the function is a coroutine function, what does the same for those who do not await
Job = namedtuple("Job", ["function", "items", "ending", "blocking"], defaults=[list, None])

# build(iterations per millisecond) -> Job; chunksize: what a user who tunes by hand would choose
Cell = namedtuple(
    "Cell", ["name", "title", "build", "chunksize", "waits", "work"], defaults=[False, "work_plain"]
)


def _always(items: Iterable[Any]) -> Callable[[], Iterable[Any]]:
    return lambda: items


def _squares(iterations_per_ms: float) -> Job:
    from work_plain import square

    return Job(square, _always(range(200_000)))


def _sum(iterations_per_ms: float) -> Job:
    from work_plain import square

    return Job(square, _always(range(2_000_000)), sum)


def _busy(costs_ms: list[float]) -> Callable[[float], Job]:
    def build(iterations_per_ms: float) -> Job:
        from work_plain import spin

        return Job(spin, _always([max(1, round(cost * iterations_per_ms)) for cost in costs_ms]))

    return build


def _pareto_costs() -> list[float]:
    """300 costs with a heavy tail, 2.5 s together."""
    draw = random.Random(20)
    costs = [min(draw.paretovariate(1.1), 50.0) for _ in range(300)]
    return [2500 * cost / sum(costs) for cost in costs]


def _waits(iterations_per_ms: float) -> Job:
    from work_plain import wait

    return Job(wait, _always([20] * 300))


def _coroutines(iterations_per_ms: float) -> Job:
    from work_coroutines import wait, wait_alone

    return Job(wait, _always([5] * 1000), blocking=wait_alone)


def _slow_source(iterations_per_ms: float) -> Job:
    from work_plain import spin

    def source() -> Iterator[int]:
        for _ in range(300):
            time.sleep(0.001)
            yield round(2 * iterations_per_ms)

    return Job(spin, source)


def _dicts(iterations_per_ms: float) -> Job:
    from work_plain import features

    draw = random.Random(7)
    rows = [{"width": draw.random(), "height": draw.random(), "id": number} for number in range(200_000)]
    return Job(features, _always(rows))


def _arrays_in(iterations_per_ms: float) -> Job:
    from work_arrays import random_array, total

    return Job(total, _always([random_array(seed, 2_000_000) for seed in range(48)]))


def _sort(iterations_per_ms: float) -> Job:
    from work_arrays import sorted_median

    return Job(sorted_median, _always(range(100)))


def _captured(iterations_per_ms: float) -> Job:
    from work_arrays import peek, random_array

    return Job(functools.partial(peek, random_array(1, 25_000_000)), _always(range(0, 2_000_000, 1000)))


def _captured_work(iterations_per_ms: float) -> Job:
    from work_arrays import random_array, spin_and_peek

    array = random_array(1, 12_500_000)
    function = functools.partial(spin_and_peek, array, round(50 * iterations_per_ms))
    return Job(function, _always(range(0, 12_000_000, 300_000)))


def _strings(iterations_per_ms: float) -> Job:
    from work_plain import spin_and_look_up

    names = {number: f"the name of number {number}" for number in range(300_000)}
    function = functools.partial(spin_and_look_up, names, round(iterations_per_ms))
    return Job(function, _always(range(0, 300_000, 500)))


def _groups(iterations_per_ms: float) -> Job:
    from work_frames import groups, summary

    return Job(summary, _always(groups(1000, 1000)))


def _svc(iterations_per_ms: float) -> Job:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import StratifiedKFold
    from work_learning import fold_score

    inputs, labels = load_digits(return_X_y=True)
    folds = list(StratifiedKFold(20).split(inputs, labels))
    return Job(functools.partial(fold_score, inputs, labels), _always(folds))


CELLS = (
    Cell("squares", "x*x × 200,000", _squares, 10_000),
    Cell("tiny", "50 µs × 20,000", _busy([0.05] * 20_000), 200),
    Cell("short", "5 ms × 300", _busy([5.0] * 300), 4),
    Cell("pareto", "300 items of Pareto cost", _busy(_pareto_costs()), 2),
    Cell("descending", "200 items, costs descending", _busy([0.1 * (200 - n) for n in range(200)]), 2),
    Cell("uneven", "8 uneven long items", _busy([50.0 * n for n in (1, 8, 2, 3, 5, 4, 7, 6)]), 1),
    Cell("waits", "20 ms waits × 300", _waits, 1, waits=True),
    Cell(
        "coroutines",
        "5 ms coroutine waits × 1,000",
        _coroutines,
        1,
        waits=True,
        work="work_coroutines",
    ),
    Cell("slow-source", "300 × 2 ms from a slow generator", _slow_source, 4),
    Cell("sum", "a sum over 2,000,000 items", _sum, 50_000),
    Cell("dicts", "200,000 small dicts", _dicts, 5_000),
    Cell("arrays-in", "48 arrays of 16 MB in, summed", _arrays_in, 1, work="work_arrays"),
    Cell("sort", "NumPy sort of 400,000 × 100", _sort, 5, work="work_arrays"),
    Cell("captured", "200 MB captured × 2,000 reads", _captured, 500, work="work_arrays"),
    Cell("captured-work", "100 MB captured, 50 ms × 40", _captured_work, 2, work="work_arrays"),
    Cell("strings", "300,000 strings captured, 1 ms × 600", _strings, 20),
    Cell("groups", "1,000 groups of a DataFrame", _groups, 50, work="work_frames"),
    Cell("svc", "SVC on digits, 20 folds", _svc, 2, work="work_learning"),
)


def cell_named(name: str) -> Cell:
    """The cell of this name."""
    return next(cell for cell in CELLS if cell.name == name)
