"""Who runs the cells: the loop, the rivals as their manuals show them, and allcores with no option set.

``load`` imports the library (before the clock starts, in cold rounds too), ``open`` starts what is kept from call
to call, ``call`` runs a job, ``close`` ends it. The processes that are measured import this file, so it imports
next to nothing.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from cells import Cell, Job

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Contestant:
    """One way to run a job.

    Attributes:
        name: what the table calls it.
        tuned: set up by hand for the cell, with knowledge that a library does not have.
        forks: its workers inherit what the caller has imported.
        workers: how many it has, where it has workers.
    """

    name = ""
    tuned = False
    forks = False
    workers = CORES

    def load(self) -> None:
        """Imports the library."""

    def open(self, cell: Cell) -> None:
        """Starts what later calls use again."""

    def call(self, job: Job) -> Any:
        """Runs a job: a list of results, or their sum."""
        results = self.map(job.blocking or job.function, job.items())
        return sum(results) if job.ending is sum else list(results)

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterable[Any]:
        """Results in the order of the items."""
        raise NotImplementedError

    def close(self) -> None:
        """Ends what was started."""


class Loop(Contestant):
    """What everybody has."""

    name = "loop"

    def call(self, job: Job) -> Any:
        """A comprehension, or a generator expression that is summed."""
        function = job.blocking or job.function
        if job.ending is sum:
            return sum(function(item) for item in job.items())
        return [function(item) for item in job.items()]


class Allcores(Contestant):
    """This library, with no option set."""

    name = "allcores"

    def load(self) -> None:
        """Imports the library."""
        import allcores

        self._allcores = allcores

    def call(self, job: Job) -> Any:
        """``map``, or the stream that sums."""
        if job.ending is sum:
            return self._allcores.par(job.items()).map(job.function).sum()
        return self._allcores.map(job.function, job.items())


class Pool(Contestant):
    """multiprocessing.Pool.map."""

    name = "Pool"
    forks = True

    def load(self) -> None:
        """Imports the library."""
        import multiprocessing

        self._multiprocessing = multiprocessing

    def open(self, cell: Cell) -> None:
        """As many workers as it is to have."""
        self._pool = self._multiprocessing.Pool(self.workers)

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterable[Any]:
        """Results in order."""
        return self._pool.map(function, items)

    def close(self) -> None:
        """Ends the workers."""
        self._pool.terminate()


class Executor(Contestant):
    """concurrent.futures.ProcessPoolExecutor.map."""

    name = "executor"
    forks = True

    def load(self) -> None:
        """Imports the library."""
        from concurrent.futures import ProcessPoolExecutor

        self._class = ProcessPoolExecutor

    def open(self, cell: Cell) -> None:
        """As many workers as it is to have."""
        self._pool = self._class(self.workers)
        self._chunksize = cell.chunksize if self.tuned else 1

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterable[Any]:
        """Results in order."""
        return self._pool.map(function, items, chunksize=self._chunksize)

    def close(self) -> None:
        """Ends the workers."""
        self._pool.shutdown(cancel_futures=True)


class TunedExecutor(Executor):
    """The same with a chunksize chosen for the cell."""

    name = "executor tuned"
    tuned = True


class Threads(Contestant):
    """concurrent.futures.ThreadPoolExecutor.map with a thread for each core."""

    name = f"{CORES} threads"
    number = CORES

    def load(self) -> None:
        """Imports the library."""
        from concurrent.futures import ThreadPoolExecutor

        self._class = ThreadPoolExecutor

    def open(self, cell: Cell) -> None:
        """So many threads, however few cores there are."""
        self._pool = self._class(self.number)

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterable[Any]:
        """Results in order."""
        return self._pool.map(function, items)

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown(cancel_futures=True)


class ManyThreads(Threads):
    """The same with 64 threads: a choice that a user makes who knows that the items wait."""

    name = "64 threads"
    number = 64
    tuned = True


class Gather(Contestant):
    """``asyncio.gather``: what who knows asyncio writes, where the function is a coroutine function."""

    name = "gather"
    tuned = True  # who writes it has chosen to have all of them in flight

    def load(self) -> None:
        """Imports the library."""
        import asyncio

        self._asyncio = asyncio

    def call(self, job: Job) -> Any:
        """One loop for all."""
        if job.blocking is None:
            raise TypeError("there is nothing to await")

        async def together() -> list[Any]:
            return await self._asyncio.gather(*map(job.function, job.items()))

        return self._asyncio.run(together())


class Joblib(Contestant):
    """joblib.Parallel with its default backend."""

    name = "joblib loky"
    backend = "loky"

    def load(self) -> None:
        """Imports the library."""
        from joblib import Parallel, delayed

        self._parallel_class, self._delayed = Parallel, delayed

    def open(self, cell: Cell) -> None:
        """Enters the context in which workers are kept."""
        self._parallel = self._parallel_class(n_jobs=self.workers, backend=self.backend)
        self._parallel.__enter__()

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterable[Any]:
        """Results in order."""
        delayed = self._delayed(function)
        return self._parallel(delayed(item) for item in items)

    def close(self) -> None:
        """Leaves the context."""
        self._parallel.__exit__(None, None, None)


class JoblibThreads(Joblib):
    """joblib.Parallel on threads."""

    name = "joblib threads"
    backend = "threading"


class Mpire(Contestant):
    """mpire.WorkerPool.map. It unpacks tuples and dicts, so each item travels in a tuple of its own."""

    name = "mpire"
    forks = True

    def load(self) -> None:
        """Imports the library."""
        from mpire import WorkerPool

        self._class = WorkerPool

    def open(self, cell: Cell) -> None:
        """As many workers as it is to have, kept from call to call."""
        self._pool = self._class(self.workers, keep_alive=True)

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterable[Any]:
        """Results in order; arrays as they are, and not joined to one."""
        packed = [(item,) for item in items]
        results: Iterable[Any] = self._pool.map(function, packed, concatenate_numpy_output=False)
        return results

    def close(self) -> None:
        """Ends the workers."""
        self._pool.terminate()


class Dask(Contestant):
    """dask.distributed with a local cluster."""

    name = "dask"

    def load(self) -> None:
        """Imports the library."""
        from distributed import Client, LocalCluster

        self._client_class, self._cluster_class = Client, LocalCluster

    def open(self, cell: Cell) -> None:
        """As many workers as it is to have, of one thread each."""
        self._cluster = self._cluster_class(
            n_workers=self.workers, threads_per_worker=1, processes=True, dashboard_address=None
        )
        self._client = self._client_class(self._cluster)

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterable[Any]:
        """Results in order. Tasks are not pure: else results of earlier calls would be used again."""
        results: Iterable[Any] = self._client.gather(self._client.map(function, list(items), pure=False))
        return results

    def close(self) -> None:
        """Ends the workers."""
        self._client.close()
        self._cluster.close()


class Ray(Contestant):
    """Ray, started by the program that uses it. Arrays arrive read-only, in memory that all processes share."""

    name = "ray"

    def load(self) -> None:
        """Imports the library."""
        import ray

        self._ray = ray

    def open(self, cell: Cell) -> None:
        """As many workers as it is to have."""
        self._ray.init(num_cpus=self.workers, include_dashboard=False, log_to_driver=False)

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterable[Any]:
        """Results in order."""
        task = self._ray.remote(function)
        results: Iterable[Any] = self._ray.get([task.remote(item) for item in items])
        return results

    def close(self) -> None:
        """Ends the workers."""
        self._ray.shutdown()


LOOP, OURS = Loop(), Allcores()
RIVALS = (
    Pool(),
    Executor(),
    TunedExecutor(),
    Threads(),
    ManyThreads(),
    Gather(),
    Joblib(),
    JoblibThreads(),
    Mpire(),
    Dask(),
    Ray(),
)
CONTESTANTS = (LOOP, OURS, *RIVALS)


def contestant_named(name: str) -> Contestant:
    """The contestant of this name."""
    return next(contestant for contestant in CONTESTANTS if contestant.name == name)
