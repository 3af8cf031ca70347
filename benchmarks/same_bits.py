"""Reductions of a million floats on every engine: are they the same bits?

    python benchmarks/same_bits.py                 1,000,003 floats
    python benchmarks/same_bits.py --items 50000   fewer

For sum, reduce and fold_by; n_jobs 1, 2, 3 and 7; every engine, the portable start of processes too; several
chunksizes. One line for each engine; the exit status says whether any result differed.
"""

from __future__ import annotations

import argparse
import operator
import os
import random
import struct
import sys
import time

import allcores as ac

N_JOBS = (1, 2, 3, 7)
CHUNKSIZES = ("auto", 1000, 4099, 65536)
ENGINES = ("inline", "threads", "processes", "portable", "auto")
ENDINGS = {
    "sum": lambda stream: stream.sum(),
    "reduce": lambda stream: stream.reduce(operator.add),
    "fold_by": lambda stream: stream.fold_by(last_digit, float, operator.add, operator.add),
}


def last_digit(x: float) -> int:
    """One of seven groups."""
    return int(abs(x)) % 7


def bits(result: object) -> list[tuple[object, bytes]]:
    """Every float of a result, exactly."""
    pairs = result.items() if isinstance(result, dict) else [(None, result)]
    return [(key, struct.pack("d", value)) for key, value in pairs]


def main() -> int:
    """Runs every combination."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=1_000_003)
    items = parser.parse_args().items
    draw = random.Random(7)
    values = [draw.uniform(-1, 1) * 10.0 ** draw.randint(-12, 12) for _ in range(items)]
    expected = {name: bits(ending(ac.par(values, engine="inline"))) for name, ending in ENDINGS.items()}
    differing = 0
    for engine in ENGINES:
        ac.shutdown()
        os.environ.pop("ALLCORES_START", None)
        if engine == "portable":
            os.environ["ALLCORES_START"] = "portable"
        name = "processes" if engine == "portable" else engine
        began, runs, wrong = time.perf_counter(), 0, 0
        for n_jobs in N_JOBS:
            for chunksize in CHUNKSIZES:
                for ending, reduce in ENDINGS.items():
                    stream = ac.par(values, engine=name, n_jobs=n_jobs, chunksize=chunksize)
                    runs += 1
                    wrong += bits(reduce(stream)) != expected[ending]
        differing += wrong
        print(
            f"{engine}: {runs} reductions of {items:,} floats, {wrong} differ ({time.perf_counter() - began:.0f} s)",
            flush=True,
        )
    return int(bool(differing))


if __name__ == "__main__":
    sys.exit(main())
