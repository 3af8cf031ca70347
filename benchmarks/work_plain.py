"""What the cells compute in plain Python. Workers import this file, so it imports next to nothing."""

from __future__ import annotations

import os
import time


def square(x: int) -> int:
    """The smallest of functions."""
    return x * x


def spin(iterations: int) -> int:
    """Computes for so many iterations: a fixed amount of work, so that a busy machine shows."""
    value = 1
    for step in range(iterations):
        value = (value * 31 + step) % 1_000_003
    return value


def spin_and_look_up(names: dict[int, str], iterations: int, number: int) -> tuple[int, str]:
    """Computes, and reads one entry of a large captured table."""
    return spin(iterations), names[number]


def wait(milliseconds: int) -> int:
    """Waits, as for a server."""
    time.sleep(milliseconds / 1000)
    return milliseconds


def nap(_: object) -> tuple[int, float, float]:
    """Waits 2.5 ms; says which process did, from when to when."""
    began = time.perf_counter()
    time.sleep(0.0025)
    return os.getpid(), began, time.perf_counter()


def features(row: dict[str, float]) -> dict[str, float | bool]:
    """A row-wise function over a table of dicts."""
    width, height = row["width"], row["height"]
    return {"area": width * height, "tall": height > width}


def process_id(_: object) -> int:
    """Says which process runs it."""
    return os.getpid()
