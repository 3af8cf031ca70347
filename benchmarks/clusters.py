"""Dask and Ray on this machine, as contestants: for benchmarks in which they have a chance."""

from __future__ import annotations

from contestants import Contestant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from cells import Cell


class Dask(Contestant):
    """dask.distributed with a local cluster. What is large is scattered first, as its warning says."""

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
        scattered = self._client.scatter(list(items), hash=False)
        results: Iterable[Any] = self._client.gather(self._client.map(function, scattered, pure=False))
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
