"""The scikit-learn benchmark: searches and ensembles, under every backend, beside the least time they could take.

    python benchmarks/ml.py                             every cell, warm and cold
    python benchmarks/ml.py --quick                     small inputs and few rounds: does it run at all?
    python benchmarks/ml.py --only svc,pca --phases warm --rounds 5 --rivals serial,loky --json ml.json

The *work bound* of a cell is the time of its distinct work (``ml_cells.py``) divided by the machine's capacity: two
processes do all of it at the same time, and half of that time is the bound. Everybody runs in turn in paired rounds,
with libraries held to as many threads; a rival is compared by the median of the ratios of its rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import select
import signal
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import judge
import machine
from ml_cells import CELLS, OURS, RIVALS, Cell, suits

HERE = Path(__file__).parent
WARM, COLD = "warm", "cold"
ROUNDS, QUICK_ROUNDS = 7, 2
MOST_SECONDS = 600.0


class Station:
    """A process in a session of its own, so that all of it can be ended."""

    def __init__(self, cell: str, rival: str, size: str) -> None:
        environ = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "ml_station.py", cell, rival, size],
            cwd=HERE,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self.answer()

    def ask(self, word: str) -> None:
        """Sends a word."""
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()

    def answer(self) -> list[str]:
        """Waits for the answer. Raises RuntimeError where there is none in time."""
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], MOST_SECONDS)[0]:
            raise RuntimeError(f"over {MOST_SECONDS:.0f} s")
        words = self._process.stdout.readline().split()
        if not words:
            raise RuntimeError("it ended without a word")
        return words

    def close(self) -> None:
        """Ends it and whatever it started."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(2)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process.stdout.close()  # type: ignore[union-attr]


def work_bound(cell: Cell, size: str) -> float:
    """Seconds that the distinct work takes where all cores do nothing else."""
    stations = [Station(cell.name, "serial", size) for _ in range(2)]
    try:
        for each in stations:
            each.ask("work")
        return max(float(each.answer()[0]) for each in stations) / 2
    finally:
        for each in stations:
            each.close()


def play(cell: Cell, phase: str, rounds: int, rivals: list[str], size: str) -> dict[str, Any]:
    """All rounds of a cell."""
    names = [OURS, *(name for name in rivals if suits(name, cell))]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    wrong: dict[str, str] = {}
    digests: dict[str, str] = {}
    kept: dict[str, Station] = {}
    draw = random.Random(cell.name)
    try:
        for _ in range(rounds):
            for name in draw.sample(names, len(names)):
                if name in wrong:
                    continue
                try:
                    took, digests[name] = _one_call(cell, phase, name, size, kept)
                except RuntimeError as error:
                    wrong[name] = str(error)
                    continue
                seconds[name].append(took)
    finally:
        for station in kept.values():
            station.close()
    expected = digests.get("serial")
    for name, found in digests.items():
        if expected is not None and found != expected:
            wrong.setdefault(name, "its results differ from serial's")
    return {"cell": cell.name, "title": cell.title, "phase": phase, "seconds": seconds, "wrong": wrong}


def _one_call(cell: Cell, phase: str, name: str, size: str, kept: dict[str, Station]) -> tuple[float, str]:
    station = kept.get(name) or Station(cell.name, name, size)
    if phase == WARM and name not in kept:
        kept[name] = station
        station.ask("run")
        station.answer()
    try:
        station.ask("run")
        took, found = station.answer()
        return float(took), found
    finally:
        if phase == COLD:
            station.close()


def report(result: dict[str, Any]) -> str:
    """One cell in a few lines."""
    seconds = {name: times for name, times in result["seconds"].items() if times}
    lines = [f"{result['title']}, {result['phase']}"]
    if result["bound_seconds"] is not None:
        lines[0] += f"; work bound {result['bound_seconds']:.3f} s"
    ours = seconds.get(OURS)
    for name, times in sorted(seconds.items(), key=lambda pair: median(pair[1])):
        line = f"  {name:<10} {median(times):8.3f} s"
        if ours is not None and name != OURS and len(times) == len(ours):
            ratios = [own / other for own, other in zip(ours, times, strict=True)]
            line += f"   allcores takes {median(ratios):.2f} × (lower bound {judge.lower_bound(ratios):.2f})"
        if name == OURS and result["bound_seconds"]:
            line += f"   {median(times) / result['bound_seconds']:.2f} × the work bound"
        lines.append(line)
    lines += [f"  {name:<10} {reason}" for name, reason in result["wrong"].items()]
    return "\n".join(lines)


def main() -> None:
    """Measures, and prints each cell as it is done."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left running
    machine.compile_sources()
    description = machine.describe()
    print(machine.in_one_line(description), flush=True)
    size = "small" if options.quick else "full"
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    results = []
    for cell in options.only or CELLS:
        for phase in options.phases:
            bound = None if options.no_bound else work_bound(cell, size)
            results.append({**play(cell, phase, rounds, options.rivals, size), "bound_seconds": bound})
            print("\n" + report(results[-1]), flush=True)
    if options.json:
        data = {"machine": description, "rounds": rounds, "size": size, "cells": results}
        options.json.write_text(json.dumps(data, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    names = {cell.name: cell for cell in CELLS}
    chosen = ", ".join(names)
    parser.add_argument("--only", type=lambda text: [names[each] for each in text.split(",")], help=chosen)
    parser.add_argument("--phases", type=lambda text: text.split(","), default=[WARM, COLD], help="warm,cold")
    parser.add_argument("--rivals", type=lambda text: text.split(","), default=RIVALS, help=", ".join(RIVALS))
    parser.add_argument("--rounds", type=int, help=f"default: {ROUNDS}")
    parser.add_argument("--quick", action="store_true", help="small inputs and few rounds")
    parser.add_argument("--no-bound", action="store_true", help="without the work bound")
    parser.add_argument("--json", type=Path, help="write the data there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
