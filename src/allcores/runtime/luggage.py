"""How long it takes to pickle what a function carries: a table of a million strings takes longer than many a loop.

It is estimated, since to find out is to do it: of large containers a sample is pickled. Objects of other classes are
not looked into.
"""

from __future__ import annotations

from itertools import islice
from time import perf_counter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

SAMPLED = 200  # elements of a container
DEPTH = 3
BYTES_A_SECOND = 1e9  # into memory that nobody has used before
CONTAINERS = (dict, list, tuple, set, frozenset)


def pickling_seconds(functions: Sequence[Any]) -> float:
    """To pickle what these functions have captured, about, and once more to unpickle it.

    >>> pickling_seconds([lambda: 1])
    0.0
    >>> names = {number: str(number) for number in range(100_000)}
    >>> pickling_seconds([lambda number: names[number]]) > 0.001
    True
    """
    from allcores.guard.digests import reached_by

    return sum((_seconds(held.value, DEPTH) for held in reached_by(list(functions))), 0.0)


def _seconds(value: Any, depth: int) -> float:
    kind = type(value)
    if kind not in CONTAINERS:
        size = getattr(value, "nbytes", 0) if kind.__module__ == "numpy" else 0
        return float(size / BYTES_A_SECOND)
    if not depth or not value:
        return 0.0
    sample = list(islice(value.items() if kind is dict else value, SAMPLED))
    parts = [part for pair in sample for part in pair] if kind is dict else sample
    if len(value) <= SAMPLED:
        return sum(_seconds(part, depth - 1) for part in parts)
    from _pickle import dumps, loads

    from allcores.tasks.flat import Flat
    from allcores.tasks.plain import ATOMS

    flat = kind in (dict, list, tuple) and ATOMS.issuperset(map(type, parts))
    began = perf_counter()
    try:
        loads(dumps(Flat(sample) if flat else sample, 5))
    except Exception:
        return 0.0  # then it cannot travel at all, and will say so
    return (perf_counter() - began) * len(value) / len(sample)
