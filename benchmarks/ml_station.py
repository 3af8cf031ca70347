"""A process that runs one rival on one cell: ``ml_station.py CELL RIVAL small|full``. One word a line, and an answer.

``run``: seconds and digest of one call. ``work``: seconds of the distinct work. The input is made, and what a user
would have imported is imported, before the first word is read.
"""

from __future__ import annotations

import sys
import time
import warnings

from ml_cells import CELLS, digest, opened

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    name, rival, size = sys.argv[1:]
    cell = {each.name: each for each in CELLS}[name]
    data = cell.make(size == "small")
    cell.run(cell.make(True), None)  # what is imported late
    with opened(rival) as run:
        print("ready", flush=True)
        for line in sys.stdin:
            began = time.perf_counter()
            if line.strip() == "work":
                if cell.work is None:
                    cell.run(data, None)
                else:
                    cell.work(data)
                print(time.perf_counter() - began, "-", flush=True)
            else:
                results = run(cell, data)
                print(time.perf_counter() - began, digest(results), flush=True)
