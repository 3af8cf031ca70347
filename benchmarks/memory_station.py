"""A process in which one contestant shares data with four workers: ``memory_station.py HOLDER KIND DIRECTORY``.

It says ``ready`` once the data are made and the workers have NumPy; a line then starts the call that holds the data.
"""

from __future__ import annotations

import sys
import warnings
from functools import partial
from typing import Any

import work_memory
from contestants import Allcores, Contestant, Executor, Joblib, Mpire, Pool


class Processes(Allcores):
    """allcores, told to take so many processes."""

    def map(self, function: Any, items: Any) -> Any:
        """Results in order."""
        return self._allcores.map(function, items, engine="processes", n_jobs=self.workers)


class PoolInherits(Pool):
    """The data are a global that forked workers inherit."""

    name = "Pool, inherited"

    def open(self, cell: Any) -> None:
        """Once the data are there."""
        self._pool = self._multiprocessing.Pool(self.workers, work_memory.remember, (cell,))


class ExecutorInherits(Executor):
    """The data are a global that forked workers inherit."""

    name = "executor, inherited"

    def open(self, cell: Any) -> None:
        """Once the data are there."""
        self._pool = self._class(self.workers, initializer=work_memory.remember, initargs=(cell,))
        self._chunksize = 1


class MpireShares(Mpire):
    """The data are what mpire calls shared objects."""

    name = "mpire, shared objects"

    def open(self, cell: Any) -> None:
        """Once the data are there."""
        self._pool = self._class(self.workers, keep_alive=True, shared_objects=cell)

    def map(self, function: Any, items: Any) -> Any:
        """Without the shared objects, which every function is handed."""
        return super().map(partial(_without_shared, function), items)


def _without_shared(function: Any, shared: Any, item: Any) -> Any:
    if function.func is work_memory.hold_remembered:
        work_memory.remember(shared)
    return function(item)


OURS = Processes()
INHERITING: tuple[Contestant, ...] = (PoolInherits(), ExecutorInherits(), MpireShares())
HOLDERS: tuple[Contestant, ...] = (OURS, Pool(), Executor(), Joblib(), Mpire(), *INHERITING)


def main(name: str, kind: str, directory: str) -> None:
    """Prepares, and makes one call."""
    holder = next(holder for holder in HOLDERS if holder.name == name)
    holder.workers = work_memory.WORKERS
    data = work_memory.make(kind)
    holder.load()
    holder.open(data)
    items = range(work_memory.ITEMS)
    list(holder.map(partial(work_memory.settle, directory), items))
    print("ready", flush=True)
    sys.stdin.readline()
    if holder in INHERITING:
        results = list(holder.map(partial(work_memory.hold_remembered, directory), items))
    else:
        results = list(holder.map(partial(work_memory.hold, data, directory), items))
    print(len(set(results)), flush=True)
    holder.close()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(*sys.argv[1:])
