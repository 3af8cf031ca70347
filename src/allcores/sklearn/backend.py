"""The joblib backend "allcores": decides what a call of ``Parallel`` runs on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import allcores as ac
from allcores.sklearn import compat
from allcores.sklearn.calls import Background, Done, Whole
from allcores.sklearn.terms import Terms, Watcher

NAME = "allcores"


class AllcoresBackend(compat.ParallelBackendBase):
    """Tasks run in worker processes of allcores, in threads where the caller asks for them, or where they are.

    Args:
        nesting_level, inner_max_num_threads: see joblib.
        cores: that calls may count on; None: those of this machine.
        watcher: who is told of the fits of a search.
        beside_others: see ``Terms``.
    """

    supports_retrieve_callback = True
    supports_inner_max_num_threads = True
    supports_sharedmem = True  # by threads
    uses_threads = False

    def __init__(
        self,
        nesting_level: int | None = None,
        inner_max_num_threads: int | None = None,
        cores: int | None = None,
        watcher: Watcher | None = None,
        beside_others: bool = False,
        **unused: Any,
    ) -> None:
        super().__init__(nesting_level=nesting_level, inner_max_num_threads=inner_max_num_threads)
        self._cores = cores
        self._watcher = watcher
        self._beside_others = beside_others
        self.parallel: Any = None
        self._run: Whole | Background | None = None
        self._n_jobs = 1

    def __reduce__(self) -> tuple[Any, ...]:
        return AllcoresBackend, (self.nesting_level, self.inner_max_num_threads, self._cores)

    def beside_others(self) -> AllcoresBackend:
        """The same for a thread beside which others run tasks."""
        return AllcoresBackend(
            self.nesting_level, self.inner_max_num_threads, self._cores, self._watcher, beside_others=True
        )

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """How many tasks can run at once. Raises ValueError for 0.

        With one joblib runs the tasks itself; what is worth having all the same is said to have two.
        """
        workers = self._workers(n_jobs)
        return workers if self.parallel is None or not self._wants(self.parallel) else max(2, workers)

    def _workers(self, n_jobs: int | None) -> int:
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None:
            return 1
        cores = self._cores or ac.cpu_count()
        if n_jobs < 0:
            return max(cores + 1 + n_jobs, 1)
        return min(n_jobs, cores) if self.nesting_level else n_jobs

    def configure(
        self, n_jobs: int = 1, parallel: Any = None, prefer: Any = None, require: Any = None, **unused: Any
    ) -> int:
        """Takes on a Parallel object; returns the number of workers.

        Raises:
            FallbackToBackend: another one is better for it: threads where it prefers or requires them, none where there
                is one job, and one of its own where this one serves another object.
        """
        workers = self._workers(n_jobs)
        if workers == 1 and not self._wants(parallel):
            raise compat.FallbackToBackend(compat.SequentialBackend(nesting_level=self.nesting_level))
        if prefer == "threads" or require == "sharedmem":
            raise compat.FallbackToBackend(Threads(self.nesting_level, self._cores))
        if self.parallel is None:
            own = AllcoresBackend(
                self.nesting_level,
                self.inner_max_num_threads,
                self._cores,
                self._watcher,
                self._beside_others,
            )
            own.parallel = parallel
            raise compat.FallbackToBackend(own)
        self._n_jobs = workers
        return self.effective_n_jobs(n_jobs)

    def _wants(self, parallel: Any) -> bool:
        """Whether tasks are worth having for one worker: a search of ours, or inside a task any, can share work."""
        return self._watching() is not None or (bool(self.nesting_level) and compat.is_for_fits(parallel))

    def _watching(self) -> Watcher | None:
        return self._watcher if self._watcher is not None and self._watcher.searching else None

    def start_call(self) -> None:
        """A call of the Parallel object begins."""
        self._run = None

    def submit(self, func: Any, callback: Callable[[Done], None]) -> None:
        """Takes a batch of tasks; ``callback`` is called with its outcome."""
        if self._run is None:
            nested, inner_threads = self.get_nested_backend(), self.inner_max_num_threads
            terms = Terms(self._n_jobs, nested, inner_threads, self._watching(), self._beside_others)
            self._run = Whole(terms) if compat.wants_all_at_once(self.parallel) else Background(terms)
        self._run.submit(func, callback)

    @contextlib.contextmanager
    def retrieval_context(self) -> Iterator[None]:
        """Everything was submitted that joblib submits in advance, and the user waits."""
        if self._run is not None:
            self._run.finish()
        yield

    def retrieve_result_callback(self, out: Done) -> Any:
        """The results of a batch of tasks."""
        return out.result()

    def stop_call(self) -> None:
        """The call has ended."""
        run, self._run = self._run, None
        if isinstance(run, Background):
            run.close()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """The results are not wanted any more."""
        if self._run is not None:
            self._run.abort()

    def get_nested_backend(self) -> tuple[Any, int | None]:
        """The backend for calls of Parallel inside a task: it has the task's share of the cores."""
        cores = max(1, (self._cores or ac.cpu_count()) // self._n_jobs)
        return AllcoresBackend(nesting_level=(self.nesting_level or 0) + 1, cores=cores), None


class Threads(compat.ThreadingBackend):
    """joblib's threads, no more of them than there are cores for this call."""

    def __init__(self, nesting_level: int | None = None, cores: int | None = None, **unused: Any) -> None:
        super().__init__(nesting_level=nesting_level)
        self._cores = cores

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """How many tasks can run at once. Raises ValueError for 0."""
        return AllcoresBackend(self.nesting_level, cores=self._cores).effective_n_jobs(n_jobs)
