"""The first call of a fresh process, of items that compute one second together, against the loop.

    python benchmarks/cold_calls.py [--rounds N] [--json FILE]

Three functions, which travel in different ways: one that workers import, one of the script itself, and an object that
takes cloudpickle. Each call and each loop runs in a process of its own, in turn; the ratio is that of the pair.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import judge
import machine
import work_plain

RESULTS = Path(__file__).parent / "results" / "cold_calls.json"
ITEMS = 100
ITEM_MS = 10
BARS = {"imported": 0.68, "of the script": 0.68, "by cloudpickle": 0.75}


def spin(iterations: int) -> int:
    """The same work, by a function that workers cannot import."""
    value = 1
    for step in range(iterations):
        value = (value * 31 + step) % 1_000_003
    return value


class Spinner:
    """The same work, by an object of a class that only cloudpickle can send."""

    def __init__(self, factor: int) -> None:
        self.factor = factor

    def __call__(self, iterations: int) -> int:
        """The work."""
        value = 1
        for step in range(iterations):
            value = (value * self.factor + step) % 1_000_003
        return value


def main() -> None:
    """Measures round by round and prints medians and verdicts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--json", type=Path, nargs="?", const=RESULTS, help="write the data there")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(first_call(*options.one))
        return
    machine.compile_sources()
    description = machine.describe()
    print(machine.in_one_line(description), flush=True)
    iterations = round(ITEM_MS * machine.iterations_per_ms())
    seconds: dict[str, dict[str, list[float]]] = {kind: {"loop": [], "allcores": []} for kind in BARS}
    for _ in range(options.rounds):
        for kind, by_way in seconds.items():
            for way, values in by_way.items():
                values.append(in_fresh_process(kind, way, iterations))
    for kind, bar in BARS.items():
        loop, ours = seconds[kind]["loop"], seconds[kind]["allcores"]
        verdict = judge.judge("loop", ours, loop, bar)
        said = "ok" if verdict.lower <= bar else "FAILED"
        print(
            f"a function {kind:15} loop {median(loop):.3f} s  allcores {median(ours):.3f} s  "
            f"{verdict.ratio:.2f} [{verdict.lower:.2f}] × the loop, bar {bar}  {said}"
        )
    if options.json:
        data = {"machine": description, "items": ITEMS, "item_ms": ITEM_MS, "seconds": seconds}
        options.json.write_text(json.dumps(data, indent=1) + "\n")


def in_fresh_process(kind: str, way: str, iterations: int) -> float:
    """The seconds of the first call there."""
    command = [sys.executable, __file__, "--one", kind, way, str(iterations)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)


def first_call(kind: str, way: str, iterations: str) -> float:
    """Runs it here, the library imported."""
    function: Any = {"imported": work_plain.spin, "of the script": spin, "by cloudpickle": Spinner(31)}[kind]
    items = [int(iterations)] * ITEMS
    if way == "loop":
        run = partial(loop, function, items)
    else:
        import allcores as ac

        run = partial(ac.map, function, items)
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def loop(function: Any, items: list[int]) -> list[Any]:
    """What the user has."""
    return [function(item) for item in items]


if __name__ == "__main__":
    main()
