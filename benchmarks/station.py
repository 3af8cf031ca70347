"""A fresh process in which one contestant runs one cell, whenever it is told to.

Started as ``python station.py CELL CONTESTANT ITERATIONS_PER_MS``; it prepares everything, says ``ready``, and
answers every line that it reads with the seconds of one call and a digest of its results. The first call of a
station is a cold one, and its time includes starting whatever the contestant keeps. A line ``plan`` asks for a
call on which allcores tells the engine that it chose; it is not timed.
"""

from __future__ import annotations

import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cells import Job
    from contestants import Contestant


def main(cell_name: str, contestant_name: str, iterations_per_ms: str) -> None:
    """Serves until its input ends."""
    from cells import cell_named
    from contestants import contestant_named

    cell, contestant = cell_named(cell_name), contestant_named(contestant_name)
    job = cell.build(float(iterations_per_ms))
    contestant.load()
    print("ready", flush=True)
    opened = False
    for line in sys.stdin:
        if line == "plan\n":
            print(_engine(contestant, job), flush=True)
            continue
        began = time.perf_counter()
        if not opened:
            contestant.open(cell)
            opened = True
        results = contestant.call(job)
        seconds = time.perf_counter() - began
        print(seconds, _digest(results), flush=True)
        del results
    if opened:
        contestant.close()


def _digest(results: Any) -> str:
    """The same for equal results only: numbers print every bit of theirs."""
    import hashlib

    return hashlib.sha256(repr(results).encode()).hexdigest()


def _engine(contestant: Contestant, job: Job) -> str:
    """The first words of the last plan that is logged; nothing is logged where all stays inline."""
    import logging

    plans = ["inline"]
    handler = logging.Handler(logging.DEBUG)
    handler.emit = lambda record: plans.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("allcores")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    contestant.call(job)
    logger.setLevel(logging.NOTSET)
    logger.removeHandler(handler)
    return plans[-1].partition("\n")[0].partition(",")[0]


if __name__ == "__main__":
    main(*sys.argv[1:])
