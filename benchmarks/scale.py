"""How much the scheduler loses beside greedy list scheduling, on 2 to 10,000 simulated workers.

    python benchmarks/scale.py                       every case: some minutes, most of them for 10,000 workers
    python benchmarks/scale.py --workers 2,16,256    seconds
    python benchmarks/scale.py --json                writes results/scale.json, which tools/draw_scale.py draws

docs/scale.md says what is simulated and what the numbers mean.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import machine
from simulated_costs import SHAPES, costs_of
from virtual_workers import Dispatch, Job, Ran, greedy_seconds

from allcores.core.rules import Rules

RESULTS = Path(__file__).parent / "results" / "scale.json"
WORKERS = (2, 16, 256, 10_000)
ITEMS_A_WORKER = 50
SEEDS = {2: 20, 16: 10, 256: 3}  # one where there are more workers
SHORT_SECONDS, LONG_SECONDS, VERY_LONG_SECONDS = 0.001, 0.1, 1.0  # an item, on average
FREE, REAL = Dispatch(), Dispatch(send_seconds=10e-6, latency_seconds=20e-6)
BAR = 1.05
MOST_WITH_DISPATCH = 256  # workers: one sender cannot keep more than that busy with short items
TIMED_ITEMS = 40_000  # on few workers, where the time of an event is measured
TIMED_ROUNDS = 3


def main() -> None:
    """Simulates, prints the tables, and writes the data where it was asked to."""
    options = _options()
    description = machine.describe()
    print(machine.in_one_line(description), flush=True)
    print(
        "\nMakespan over greedy's, median and worst of the seeds: with free dispatch, with dispatch (beyond what it"
    )
    print("takes), and with told costs over max(total/workers, longest item).\n")
    cases = []
    for case in _cases(options.workers):
        cases.append(case)
        print(_case_line(case), flush=True)
    print("\nMicroseconds of a processor that the scheduler takes for an event.\n")
    timed = []
    for workers in options.workers:
        seconds = [case["event_seconds"] for case in cases if case["workers"] == workers]
        if workers * ITEMS_A_WORKER < TIMED_ITEMS:
            seconds = [event_seconds(workers)]
        timed.append({"workers": workers, "event_seconds": min(seconds)})
        print(f"{workers:>6} workers {timed[-1]['event_seconds'] * 1e6:6.1f} µs", flush=True)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        data = {
            "machine": description,
            "bar": BAR,
            "dispatch": REAL._asdict(),
            "cases": cases,
            "timed": timed,
        }
        options.json.write_text(json.dumps(data, indent=1) + "\n")


def _cases(worker_counts: list[int]) -> Iterator[dict[str, Any]]:
    for workers in worker_counts:
        for mean_seconds in (SHORT_SECONDS, LONG_SECONDS) if workers <= 256 else (VERY_LONG_SECONDS,):
            for shape in SHAPES:
                yield _case(shape, workers, mean_seconds)


def _case(shape: str, workers: int, mean_seconds: float) -> dict[str, Any]:
    free, real, told, took = [], [], [], []
    for seed in range(1, SEEDS.get(workers, 1) + 1):
        costs = costs_of(shape, ITEMS_A_WORKER * workers, mean_seconds, seed)
        greedy, best = greedy_seconds(costs, workers), max(sum(costs) / workers, *costs)
        ran = run(costs, workers, FREE)
        free.append(ran.seconds / greedy)
        took.append(ran.scheduler_seconds / ran.events)
        told.append(run(costs, workers, FREE, costs).seconds / best)
        if workers <= MOST_WITH_DISPATCH:
            ran = run(costs, workers, REAL)
            dispatch_seconds = ran.messages * REAL.send_seconds + 2 * REAL.latency_seconds
            real.append((ran.seconds - dispatch_seconds) / greedy)
    return {
        "shape": shape,
        "workers": workers,
        "mean_seconds": mean_seconds,
        "items": ITEMS_A_WORKER * workers,
        "ratios": free,
        "ratios_beyond_dispatch": real,
        "ratios_told": told,
        "event_seconds": min(took),
    }


def run(costs: list[float], workers: int, dispatch: Dispatch, told: list[float] | None = None) -> Ran:
    """A job whose number of items is known, and what they cost beside each other where that is told."""
    return Job(costs, workers, dispatch, Rules(length=len(costs), costs=told)).run()


def event_seconds(workers: int) -> float:
    """What the scheduler takes for an event: the best of some rounds, since other programs can only add to it."""
    costs = costs_of("uniform", TIMED_ITEMS, LONG_SECONDS)
    rounds = [run(costs, workers, FREE) for _ in range(TIMED_ROUNDS)]
    return min(ran.scheduler_seconds / ran.events for ran in rounds)


def _case_line(case: dict[str, Any]) -> str:
    columns = [
        f"{name} {median(ratios):.3f} {max(ratios):.3f}"
        for name, ratios in (
            ("free", case["ratios"]),
            ("dispatch", case["ratios_beyond_dispatch"]),
            ("told", case["ratios_told"]),
        )
        if ratios
    ]
    over = sum(ratio > BAR for ratio in case["ratios"])
    return (
        f"{case['workers']:>6} workers {case['mean_seconds'] * 1000:>5g} ms {case['shape']:<12} {'  '.join(columns)}"
        + (f"  over {BAR}: {over} of {len(case['ratios'])}" if over else "")
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--workers",
        type=lambda text: [int(number) for number in text.split(",")],
        default=list(WORKERS),
        help="numbers of workers, with commas (default: 2,16,256,10000)",
    )
    parser.add_argument(
        "--json",
        type=Path,
        nargs="?",
        const=RESULTS,
        help="write the data there (default: results/scale.json)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
