"""What the cells compute with NumPy."""

from __future__ import annotations

import numpy as np
from work_plain import spin


def random_array(seed: int, length: int) -> np.ndarray:
    """Float64 numbers, the same for the same seed."""
    return np.random.default_rng(seed).random(length)


def total(array: np.ndarray) -> float:
    """Sums an array that came with the call."""
    return float(array.sum())


def sorted_median(seed: int) -> float:
    """Makes 400,000 numbers and sorts them."""
    array = random_array(seed, 400_000)
    array.sort()
    return float(array[200_000])


def peek(array: np.ndarray, index: int) -> float:
    """Reads one number out of a large captured array."""
    return float(array[index])


def spin_and_peek(array: np.ndarray, iterations: int, index: int) -> float:
    """Computes, and reads one number out of a large captured array."""
    return spin(iterations) + float(array[index])
