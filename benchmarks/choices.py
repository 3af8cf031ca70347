"""Does allcores choose well, and know beforehand what a call will take?

    python benchmarks/choices.py                 every cell of the regret table
    python benchmarks/choices.py --cells svc,sort --rounds 3 --json

In a fresh process for each cell, each engine that can do it runs the job in turn with ``auto``, warm. ``explain`` has
said before which engine it would be, and how many seconds the rest would take.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import machine
from cells import CELLS, Job, cell_named

RESULTS = Path(__file__).parent / "results" / "choices.json"
ENGINES = ("inline", "threads", "processes")
AUTO = "auto"
FAIR, CLOSE, TOO_FAR = 1.3, 1.1, 1.3  # predicted against measured; chosen against the best of all
SLOW = 5.0  # times the best so far: such an engine is not run again


def main() -> None:
    """Measures every cell in a process of its own, and prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cells", default=",".join(cell.name for cell in CELLS), help="names, with commas")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, nargs="?", const=RESULTS, help="write the data there")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measured(*options.one.split(","), options.rounds)))
        return
    machine.compile_sources()
    iterations = machine.iterations_per_ms()
    results = []
    for name in options.cells.split(","):
        command = [sys.executable, __file__, "--one", f"{name},{iterations}", "--rounds", str(options.rounds)]
        found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        results.append(found)
        print(in_words(found), flush=True)
    print(summary(results))
    if options.json:
        data = {"machine": machine.describe(), "rounds": options.rounds, "cells": results}
        options.json.write_text(json.dumps(data, indent=1) + "\n")


def measured(name: str, iterations_per_ms: str, rounds: int) -> dict[str, Any]:
    """The medians of one cell, and what was predicted."""
    import allcores as ac

    job = cell_named(name).build(float(iterations_per_ms))
    engines = [AUTO, "asyncio"] if job.blocking else [AUTO, *ENGINES]
    seconds: dict[str, list[float]] = {engine: [] for engine in engines}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ac.RandomStateWarning)
        for engine in engines:
            run(job, engine)
        plan, share_left = explained(job)
        for _ in range(rounds):
            for engine in engines:
                if not seconds[engine] or median(seconds[engine]) < SLOW * best(seconds):
                    with timed(seconds[engine].append):
                        run(job, engine)
    medians = {engine: median(each) for engine, each in seconds.items()}
    predicted = plan.seconds.get(plan.engine)
    return {
        "cell": name,
        "title": cell_named(name).title,
        "engine": plan.engine,
        "predicted": None if predicted is None else predicted / share_left,
        "seconds": medians,
    }


def best(seconds: dict[str, list[float]]) -> float:
    """The fastest median so far."""
    return min((median(each) for each in seconds.values() if each), default=float("inf"))


def run(job: Job, engine: str) -> Any:
    """The job on this engine, as the regret table has it."""
    import allcores as ac

    if job.ending is sum:
        return ac.par(job.items(), engine=engine).map(job.function).sum()
    return ac.map(job.function, job.items(), engine=engine)


def explained(job: Job) -> tuple[Any, float]:
    """The plan, and what share of the items it is for."""
    import allcores as ac

    items = job.items()
    items = items if hasattr(items, "__len__") else list(items)
    plan = ac.explain(job.function, items)
    left = re.search(r"the (\d+) items that are left", str(plan))
    return plan, int(left[1]) / len(items) if left else 1.0


@contextlib.contextmanager
def timed(note: Callable[[float], None]) -> Iterator[None]:
    """Notes how long the block took."""
    began = time.perf_counter()
    yield
    note(time.perf_counter() - began)


def in_words(found: dict[str, Any]) -> str:
    """A line of the table."""
    others = "  ".join(f"{engine} {seconds:.4f}" for engine, seconds in found["seconds"].items())
    regret, error = regret_of(found), error_of(found)
    said = "–" if error is None else f"{error:.2f} × measured"
    return f"{found['title']:36} {found['engine']:10} {regret:.2f} × the best  predicted {said:16}  {others}"


def regret_of(found: dict[str, Any]) -> float:
    """``auto`` against the best engine; under 2 ms more is none."""
    ours, fastest = found["seconds"][AUTO], min(found["seconds"].values())
    return 1.0 if ours - fastest < 0.002 else float(ours / fastest)


def error_of(found: dict[str, Any]) -> float | None:
    """Predicted against measured."""
    if found["predicted"] is None:
        return None
    return float(found["predicted"] / found["seconds"][AUTO])


def summary(results: list[dict[str, Any]]) -> str:
    """How many cells are within the bars."""
    errors = [error for error in map(error_of, results) if error is not None]
    fair = sum(1 / FAIR <= error <= FAIR for error in errors)
    regrets = [regret_of(found) for found in results]
    close = sum(regret <= CLOSE for regret in regrets)
    far = sum(regret > TOO_FAR for regret in regrets)
    return (
        f"predicted within a factor of {FAIR}: {fair} of {len(errors)}; within {CLOSE} × the best engine: "
        f"{close} of {len(results)}; over {TOO_FAR} ×: {far}"
    )


if __name__ == "__main__":
    main()
