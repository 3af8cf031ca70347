"""Instructions, not only seconds: the system calls and the instructions that one chunk takes.

    python benchmarks/instructions.py [--rounds N] [--json FILE]

System calls are counted by strace, in the caller and in its workers, during one warm call: between two marks that the
caller leaves. Instructions are the caller's own, counted by callgrind, while its workers run natively: a call of
2 N chunks less one of N, so that start, end and what a call costs once are no part of it. Both tools slow down
whom they watch. Under callgrind workers have always answered already, and one look brings several answers. What may
differ from round to round is how many chunks share a write, a read or a wake-up; so medians are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import machine
import work_plain

WORKERS = 2
WARM_CHUNKS = 200  # the first items of a worker are watched more closely than all others
LEAST = 0.01  # calls a chunk: what is rarer belongs to the call as a whole
BEGIN, END = "/counted from here", "/counted up to here"
RESULTS = Path(__file__).parent / "results" / "instructions.json"
STRACE, VALGRIND = "strace", "valgrind"


class Case(NamedTuple):
    """Chunks of one kind, and how many of them are counted."""

    function: Callable[[Any], Any]
    make_items: Callable[[int], Any]
    items_a_chunk: int
    chunks: int


def _arrays(count: int) -> list[Any]:
    import numpy

    return [numpy.ones(1 << 17)] * count


def _length(array: Any) -> int:
    return len(array)


CASES = {
    "one number a chunk": Case(work_plain.square, range, 1, 2000),
    "1,000 numbers a chunk": Case(work_plain.square, range, 1000, 300),
    "one array of 1 MB a chunk": Case(_length, _arrays, 1, 300),
}


# -- what is watched, in a process of its own --------------------------------------------------------------------


def watched(case: Case, chunks: int) -> None:
    """One warm call between two marks; says who its workers were."""
    import psutil

    import allcores as ac

    def run(count: int) -> None:
        items = case.make_items(count * case.items_a_chunk)
        ac.map(case.function, items, engine="processes", n_jobs=WORKERS, chunksize=case.items_a_chunk)

    run(WARM_CHUNKS)
    os.access(BEGIN, os.F_OK)
    run(chunks)
    os.access(END, os.F_OK)
    print(json.dumps([child.pid for child in psutil.Process().children(recursive=True)]))


def _command(name: str, chunks: int) -> list[str]:
    return [sys.executable, __file__, "--only", name, "--chunks", str(chunks)]


# -- who counts --------------------------------------------------------------------------------------------------


def system_calls(name: str) -> dict[str, dict[str, float]]:
    """Calls a chunk by kind, for the caller and for all workers together."""
    chunks = CASES[name].chunks
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace"
        tracer = [STRACE, "-f", "-qq", "-s", str(len(BEGIN + END)), "-e", "signal=none", "-o", str(trace)]
        done = subprocess.run(
            [*tracer, *_command(name, chunks)], capture_output=True, text=True, check=True, timeout=600
        )
        lines = trace.read_text(errors="replace").splitlines()
    children = set(json.loads(done.stdout))
    begin, end = (
        next(n for n, line in enumerate(lines) if f'access("{mark}"' in line) for mark in (BEGIN, END)
    )
    counts: dict[str, Counter[str]] = {"caller": Counter(), "workers": Counter()}
    for line in lines[begin + 1 : end]:
        begun = re.match(r"(\d+) +(\w+)\(", line)  # and not the other half of one, which is "resumed"
        if begun is not None:
            counts["workers" if int(begun[1]) in children else "caller"][begun[2]] += 1
    return {
        side: {kind: count / chunks for kind, count in kinds.most_common() if count / chunks >= LEAST}
        for side, kinds in counts.items()
    }


def medians(rounds: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Of each kind, over the rounds; how many chunks share a call is a matter of chance."""
    found: dict[str, dict[str, float]] = {}
    for side in rounds[0]:
        kinds = {kind for each in rounds for kind in each[side]}
        numbers = {kind: median(each[side].get(kind, 0.0) for each in rounds) for kind in kinds}
        found[side] = dict(sorted(numbers.items(), key=lambda pair: -pair[1]))
    return found


def instructions(name: str) -> float:
    """Instructions of the caller a chunk."""
    chunks = CASES[name].chunks
    return (_all_instructions(name, 2 * chunks) - _all_instructions(name, chunks)) / chunks


def _all_instructions(name: str, chunks: int) -> int:
    counter = [VALGRIND, "--tool=callgrind", "--trace-children=no", f"--callgrind-out-file={os.devnull}"]
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    done = subprocess.run(
        [*counter, *_command(name, chunks)],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
        env=environment,
    )
    totals = re.findall(r"Collected : (\d+)", done.stderr)
    return int(totals[-1])


def main() -> None:
    """Counts and prints a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="the medians of so many are printed")
    parser.add_argument("--json", type=Path, nargs="?", const=RESULTS, help="write the data there")
    parser.add_argument("--only", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--chunks", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        watched(CASES[options.only], options.chunks)
        return
    machine.compile_sources()
    description = machine.describe()
    print(machine.in_one_line(description), flush=True)
    for tool in (STRACE, VALGRIND):
        if shutil.which(tool) is None:
            print(f"{tool} is not installed: what it would count is left out.")
    cases: dict[str, Any] = {}
    for name, case in CASES.items():
        found = cases[name] = {"items_a_chunk": case.items_a_chunk, "chunks": case.chunks}
        print(f"\n{name}")
        if shutil.which(STRACE):
            rounds = [system_calls(name) for _ in range(options.rounds)]
            found["system_calls_a_chunk"] = rounds
            for side, kinds in medians(rounds).items():
                _row(f"{side}, system calls", sum(kinds.values()), case)
                for kind, count in kinds.items():
                    print(f"    {kind:<38} {count:12.2f}")
        if shutil.which(VALGRIND):
            found["instructions_a_chunk"] = [instructions(name) for _ in range(options.rounds)]
            _row("caller, instructions", median(found["instructions_a_chunk"]), case)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"machine": description, "cases": cases}, indent=1) + "\n")


def _row(title: str, number: float, case: Case) -> None:
    each = f" ({number / case.items_a_chunk:,.4g} an item)" if case.items_a_chunk > 1 else ""
    print(f"  {title:<36} {number:16,.2f} a chunk{each}", flush=True)


if __name__ == "__main__":
    main()
