"""A process in which much flows through allcores: ``flow_station.py FLOW``.

It stops at every checkpoint, says how far it is, and goes on when it reads a line.
"""

from __future__ import annotations

import operator
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count, islice
from typing import Any

import numpy as np
import work_plain
from work_memory import WORKERS

import allcores as ac

ITEM_CHECKPOINTS = (10_000, 50_000, 200_000)  # counted from the first to the last
CALL_CHECKPOINTS = (10, 100, 1_000)
PROCESSES: dict[str, Any] = {"engine": "processes", "n_jobs": WORKERS}
ARRAY_LENGTH = 128
CALL_ITEMS = 64


def first() -> None:
    """An infinite generator, until something is found."""
    ac.par(numbers(), **PROCESSES).map(work_plain.square).filter(is_even).first(is_beyond_the_last)


def reduce() -> None:
    """A generator that ends after the last checkpoint, which nobody knows before."""
    source = islice(numbers(), ITEM_CHECKPOINTS[-1] + 1)
    ac.par(source, **PROCESSES).map(work_plain.square).filter(is_even).reduce(operator.add)


def iterate() -> None:
    """An infinite generator of arrays, and arrays as results, until the caller stops."""
    stream = ac.par(arrays(), **PROCESSES).map(double).filter(is_even_array)
    for _ in islice(stream, ITEM_CHECKPOINTS[-1] // 2 + 1):
        pass


def same_function() -> None:
    """Many calls of one function."""
    calls(lambda number: work_plain.square)


def new_functions() -> None:
    """Many calls, each of another function."""
    calls(lambda number: partial(operator.mul, number))


def arrays_captured() -> None:
    """Many calls, each with an array of its own that is captured."""
    calls(lambda number: partial(np.take, np.full(100_000, number)))


def calls(function: Callable[[int], Any]) -> None:
    """As many as the last checkpoint says."""
    for number in range(1, CALL_CHECKPOINTS[-1] + 1):
        ac.map(function(number), range(CALL_ITEMS), **PROCESSES)
        if number in CALL_CHECKPOINTS:
            stop_at(number)


def numbers() -> Iterator[int]:
    """All of them, with stops."""
    for number in count():
        if number in ITEM_CHECKPOINTS:
            stop_at(number)
        yield number


def arrays() -> Iterator[Any]:
    """One of 1 KB for each number."""
    return (np.full(ARRAY_LENGTH, number) for number in numbers())


def stop_at(number: int) -> None:
    """Lets the other side look."""
    print(number, flush=True)
    sys.stdin.readline()


def double(array: Any) -> Any:
    """Of the same size."""
    return array + array


def is_even(number: int) -> bool:
    """Half of the squares are."""
    return number % 2 == 0


def is_even_array(array: Any) -> bool:
    """Half of the doubled arrays are twice an even number."""
    return bool(array[0] % 4 == 0)


def is_beyond_the_last(square: int) -> bool:
    """Whether the last checkpoint has been passed."""
    return square > ITEM_CHECKPOINTS[-1] ** 2


FLOWS = {
    "first": "an infinite generator through map, filter, first",
    "reduce": "a generator through map, filter, reduce",
    "iterate": "an infinite generator of arrays through map, filter, iterated",
    "same_function": "calls of one function",
    "new_functions": "calls, each of another function",
    "arrays_captured": "calls, each with another captured array",
}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print("ready", flush=True)
    globals()[sys.argv[1]]()
    print("done", flush=True)
