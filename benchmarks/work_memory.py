"""What the workers of memory.py do: settle down, and hold data until somebody has looked."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

WORKERS = 4
ITEMS = 4 * WORKERS  # so that each worker gets one, whoever is first
ARRAYS, ARRAY_BYTES = 10, 20_000_000
STRINGS = 1_000_000  # with their keys and the dict: 200 MB
SETTLE_SECONDS = 20.0
PAGE_BYTES = 4096

_remembered: Any = None


def make(kind: str) -> Any:
    """200 MB of arrays, or of strings in a dict."""
    if kind == "arrays":
        import numpy as np

        return [np.random.default_rng(seed).random(ARRAY_BYTES // 8) for seed in range(ARRAYS)]
    return {
        f"{number:08d}": f"the text of entry number {number:08d}, and some more of it"
        for number in range(STRINGS)
    }


def read(data: Any) -> float:
    """Touches every page of the arrays, or every entry of the dict."""
    if isinstance(data, dict):
        return float(sum(len(key) + len(text) for key, text in data.items()))
    return float(sum(each[:: PAGE_BYTES // 8].sum() for each in data))


def settle(directory: str, number: int) -> None:
    """Imports NumPy, and waits until all workers have."""
    import numpy  # noqa: F401

    _sign(directory, "settled")
    give_up = time.monotonic() + SETTLE_SECONDS
    while signed(directory, "settled") < WORKERS and time.monotonic() < give_up:
        time.sleep(0.005)


def hold(data: Any, directory: str, number: int) -> float:
    """Reads all of the data, says so, and waits at the gate: a pipe that somebody opens."""
    total = read(data)
    _sign(directory, "holding")
    with Path(directory, "gate").open("rb"):
        return total


def remember(data: Any) -> None:
    """Makes the data a global of this worker."""
    global _remembered
    _remembered = data


def hold_remembered(directory: str, number: int) -> float:
    """The same with the global."""
    return hold(_remembered, directory, number)


def signed(directory: str, word: str) -> int:
    """How many workers have said this."""
    return sum(1 for _ in Path(directory).glob(f"{word}-*"))


def _sign(directory: str, word: str) -> None:
    Path(directory, f"{word}-{os.getpid()}").touch()
