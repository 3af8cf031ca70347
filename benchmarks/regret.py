"""The regret table: how much slower than the best alternative is allcores, with no option set?

    python benchmarks/regret.py                        every cell, warm and cold
    python benchmarks/regret.py --quick                a first impression
    python benchmarks/regret.py --cells squares,svc --phases cold --rounds 5

README.md beside this file says how it is measured.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path

import machine
import report
from cells import CELLS, Cell
from contestants import RIVALS
from rounds import COLD, WARM, Rounds, play

RESULTS = Path(__file__).parent / "results" / "regret.json"
ROUNDS, TRIAL_ROUNDS = 11, 3
QUICK_ROUNDS, QUICK_TRIAL_ROUNDS = 4, 1


def main() -> None:
    """Measures, prints the tables, and writes the data where it was asked to."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left running
    rounds = Rounds(QUICK_ROUNDS, QUICK_TRIAL_ROUNDS) if options.quick else Rounds(ROUNDS, TRIAL_ROUNDS)
    if options.rounds:
        rounds = Rounds(options.rounds, min(rounds.trial, options.rounds))
    machine.compile_sources()
    description = machine.describe()
    iterations_per_ms = machine.iterations_per_ms()
    imports = {work: machine.fresh_import_seconds(work) for work in {cell.work for cell in options.cells}}
    print(machine.in_one_line(description), flush=True)
    results = []
    for cell in options.cells:
        for phase in options.phases:
            began = time.monotonic()
            print(f"{cell.title}, {phase} ...", file=sys.stderr, end="", flush=True)
            results.append(play(cell, phase, rounds, options.rivals, iterations_per_ms, imports[cell.work]))
            print(f" {time.monotonic() - began:.0f} s", file=sys.stderr)
    print("\nSeconds, medians. lower: the 90 % bootstrap bound, which must not pass the bar.")
    print("*: without the imports that workers forked from the caller inherit.\n")
    print(report.verdict_table(results))
    print("\nEverybody. –: never finished; !: out later (over 25 s, over 10 × the loop, failed, or wrong).\n")
    print(report.contestant_table(results))
    print("\n" + report.summary(results))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        data = {
            "machine": description,
            "iterations_per_ms": iterations_per_ms,
            "rounds": rounds._asdict(),
            "cells": results,
        }
        options.json.write_text(json.dumps(data, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--cells",
        type=_cells,
        default=CELLS,
        help="names, with commas: " + ", ".join(cell.name for cell in CELLS),
    )
    parser.add_argument("--phases", type=_phases, default=(WARM, COLD), help="warm, cold, or warm,cold")
    parser.add_argument(
        "--rivals",
        type=_rivals,
        default=[rival.name for rival in RIVALS],
        help="beside the loop: " + ", ".join(rival.name for rival in RIVALS),
    )
    parser.add_argument("--rounds", type=int, help=f"at least 2 (default: {ROUNDS})")
    parser.add_argument("--quick", action="store_true", help="few rounds: a first impression")
    parser.add_argument(
        "--json",
        type=Path,
        nargs="?",
        const=RESULTS,
        help="write the data there (default: results/regret.json)",
    )
    options = parser.parse_args()
    if options.rounds is not None and options.rounds < 2:
        parser.error("--rounds: the best rival is chosen on odd rounds and compared on even ones: at least 2")
    return options


def _cells(text: str) -> list[Cell]:
    known = {cell.name: cell for cell in CELLS}
    try:
        return [known[name] for name in text.split(",")]
    except KeyError as missing:
        raise argparse.ArgumentTypeError(f"no cell is called {missing}") from None


def _rivals(text: str) -> list[str]:
    names = text.split(",") if text else []
    unknown = set(names) - {rival.name for rival in RIVALS}
    if unknown:
        raise argparse.ArgumentTypeError(f"nobody is called {unknown.pop()!r}")
    return names


def _phases(text: str) -> list[str]:
    phases = text.split(",")
    if not set(phases) <= {WARM, COLD}:
        raise argparse.ArgumentTypeError("write warm, cold, or warm,cold")
    return phases


if __name__ == "__main__":
    main()
