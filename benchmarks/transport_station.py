"""A process in which one contestant moves one payload: ``transport_station.py CONTESTANT KIND in|out TOGETHER``.

It says ``ready`` and the size of the payload's pickle once everything is warm. Each line that it reads then is
answered with the seconds that ``TRANSFERS`` payloads took, ``TOGETHER`` of them in a call, and with a checksum.
"""

from __future__ import annotations

import sys
import time
import warnings
from typing import Any

import work_payloads
from contestants import Allcores, Contestant, Dask, Executor, Joblib, Mpire, Pool, Ray

TRANSFERS = 8
WORKERS = 2  # with one, joblib runs the loop
WARM_UP_ROUNDS = 3


class Processes(Allcores):
    """allcores, told to take processes: on its own it would leave such work in the caller."""

    def map(self, function: Any, items: Any) -> Any:
        """Results in order."""
        return self._allcores.map(function, items, engine="processes", n_jobs=self.workers)


class Copy(Contestant):
    """What the machine can do: as many bytes are copied, from warm memory into warm memory."""

    name = "copy"

    def open(self, cell: Any) -> None:
        """Has all memory at hand."""
        import numpy as np

        self._copy = np.copyto
        self._sources = [np.full(cell, seed, "u1") for seed in range(TRANSFERS)]
        self._target = np.zeros(cell, "u1")

    def map(self, function: Any, items: Any) -> Any:
        """One copy for each item."""
        for source, _ in zip(self._sources, items, strict=False):
            self._copy(self._target, source)
        return []


class DaskScatters(Dask):
    """Items go to the workers first, as Dask's warning about large ones says."""

    def map(self, function: Any, items: Any) -> Any:
        """Results in order."""
        return super().map(function, self._client.scatter(list(items), hash=False))


COPY, OURS = Copy(), Processes()
MOVERS: tuple[Contestant, ...] = (COPY, OURS, Pool(), Executor(), Joblib(), Mpire(), DaskScatters(), Ray())


def main(name: str, kind: str, direction: str, together: str) -> None:
    """Serves until its input ends."""
    mover = next(mover for mover in MOVERS if mover.name == name)
    mover.workers = WORKERS
    mover.load()
    size_bytes = _pickled_bytes(work_payloads.kept(kind, 0))
    mover.open(size_bytes)  # read by the copy alone
    for _ in range(WARM_UP_ROUNDS):
        _move(mover, kind, direction, TRANSFERS)
        _move(mover, kind, direction, int(together))
    print("ready", size_bytes, flush=True)
    for _ in sys.stdin:
        print(*_move(mover, kind, direction, int(together)), flush=True)
    mover.close()


def _move(mover: Contestant, kind: str, direction: str, together: int) -> tuple[float, int]:
    outwards = direction == "out"
    function = work_payloads.send if outwards else work_payloads.receive
    seconds, checksum = 0.0, 0
    for start in range(0, TRANSFERS, together):
        seeds = range(start, start + together)
        items = [(kind, seed) if outwards else work_payloads.fresh(kind, seed) for seed in seeds]
        began = time.perf_counter()
        results = list(mover.map(function, items))
        checksum += sum(map(work_payloads.touch, results) if outwards else results)
        del results
        seconds += time.perf_counter() - began
    return seconds, checksum


def _pickled_bytes(payload: Any) -> int:
    import pickle

    return len(pickle.dumps(payload, 5))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(*sys.argv[1:])
