"""joblib's tasks as a job: one call of ``Parallel``, from the first task that it submits to the last result.

Where the user waits for all results (``Whole``) the tasks are one stream, run by the thread that waits: as many of them
in that thread itself as is best. Where results are wanted as they come, or within a time limit (``Background``), each
is a call of an ``Executor``.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import allcores as ac
from allcores.sklearn import compat
from allcores.sklearn.arguments import Repeated
from allcores.sklearn.compat import Call
from allcores.sklearn.terms import TRIES, Terms, engine_is_open, outcomes, sets_for_all_threads


class Done:
    """The outcome of a task, as ``retrieve_result_callback`` is given it."""

    __slots__ = ("error", "value")

    def __init__(self, value: Any = None, error: BaseException | None = None) -> None:
        self.value = value
        self.error = error

    def result(self) -> Any:
        """The value; raises the task's exception."""
        if self.error is not None:
            raise self.error
        return self.value


class Whole:
    """A call whose user waits for all results: nothing runs before ``finish``."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._parallel: Any = None
        self._queue: deque[tuple[list[Call], Callable[[Done], None]]] = deque()
        self._callbacks: dict[int, Callable[[Done], None]] = {}
        self._pulled = 0
        self._repeated = Repeated(())

    def submit(self, batch: Any, callback: Callable[[Done], None]) -> None:
        """Takes a batch of tasks."""
        self._parallel = compat.parallel_of(callback)
        self._queue.append((compat.calls_of(batch), callback))

    def finish(self) -> None:
        """Runs all tasks, in this thread and in workers, and hands their results back."""
        if not self._queue:
            return
        first = self._queue[0][0][0]
        if compat.is_fit(first) or compat.is_of_sklearn(first):
            while compat.pull(self._parallel):
                pass  # tasks that refer to the same data: together they are not larger than one
        if compat.is_over(self._parallel):
            return
        if not compat.is_fit(first) or not self._run_fits():
            self._run_plainly()

    def abort(self) -> None:
        """Nobody wants the results any more."""
        self._queue.clear()

    def _run_fits(self) -> bool:
        """Runs calls of ``_fit_and_score`` as what they are; False if they are not recognised."""
        from allcores.sklearn import fits  # which brings along what scikit-learn has for it

        calls = [call for batch, _ in self._queue for call in batch]
        recognised = compat.fits(calls)
        if isinstance(recognised, str):
            if self._terms.watcher is not None:
                self._terms.watcher.unrecognised(recognised)
            return False
        batches, self._queue = self._queue, deque()
        try:
            results = iter(fits.run(recognised, compat.surroundings_of(calls[0][0]), self._terms))
        except Exception as error:
            batches[0][1](Done(error=error))
            return True
        for batch, callback in batches:
            callback(Done([next(results) for _ in batch]))
        return True

    def _run_plainly(self) -> None:
        window = compat.lazily(self._parallel)
        options, run = self._terms.options(), run_calls
        if self._may_share_a_process():
            options["engine"], run = "threads", run_calls_in_thread
        self._repeated = Repeated(call for calls, _ in self._queue for call in calls)
        kind = kind_of(self._queue[0][0][0])
        items = self._items() if compat.more_to_pull(self._parallel) else list(self._items())
        stream = ac.par(items, ordered=False, window=window, **options).map(
            functools.partial(Runner(run, kind), self._repeated, self._terms.nested)
        )
        with outcomes(stream) as values:
            for value in values:
                if isinstance(value, ac.Failure):
                    number, done = value.index, Done(error=value.error)
                else:
                    number, done = value[0], Done(value[1])
                self._callbacks.pop(number)(done)
                if self._is_over():
                    return

    def _may_share_a_process(self) -> bool:
        """Whether all calls are fits that may run in threads and that have enough to do there."""
        calls = [call for batch, _ in self._queue for call in batch]
        if compat.more_to_pull(self._parallel) or not all(map(compat.is_fit_of_a_clone, calls)):
            return False
        from allcores.sklearn import durations, thread_safe  # which load scikit-learn's part

        return (
            self._terms.n_jobs > 1
            and not durations.is_little(calls[0][1][1], len(calls))
            and all(thread_safe.is_listed(call[1][0], {}) for call in calls)
            and engine_is_open()
        )

    def _is_over(self) -> bool:
        """Whether there is nothing more to do, or nobody wants it."""
        parallel = self._parallel
        all_done = not self._callbacks and not self._queue and not compat.more_to_pull(parallel)
        return all_done or compat.is_over(parallel)

    def _items(self) -> Iterator[tuple[int, list[Call]]]:
        """What was submitted, and then whatever else the input has."""
        while self._queue or compat.pull(self._parallel):
            if self._queue:
                calls, callback = self._queue.popleft()
                self._callbacks[self._pulled] = callback
                self._pulled += 1
                yield self._pulled - 1, self._repeated.without(calls)


class Background:
    """A call whose results are wanted as they come: tasks run in worker processes as soon as they are submitted."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._executor: ac.Executor | None = None
        self._repeated = Repeated(())
        self._lock = threading.Lock()

    def submit(self, batch: Any, callback: Callable[[Done], None]) -> None:
        """Takes a batch of tasks."""
        calls = compat.calls_of(batch)
        with self._lock:
            if self._executor is None:
                self._repeated = Repeated(calls, least=1)
                self._executor = ac.Executor(
                    self._terms.n_jobs,
                    engine="processes",
                    initializer=begin,
                    initargs=(self._repeated, self._terms.nested, self._terms.inner_threads),
                )
        self._try(self._executor, self._repeated.without(calls), callback, TRIES)

    def finish(self) -> None:
        """Nothing: results come by themselves."""

    def abort(self) -> None:
        """Nobody wants the results any more: workers are stopped."""
        if self._executor is not None:
            with contextlib.suppress(KeyboardInterrupt), self._executor:
                raise KeyboardInterrupt  # the way to say that it is not to wait

    def close(self) -> None:
        """All results are there."""
        if self._executor is not None:
            self._executor.shutdown(wait=False)

    def _try(
        self, executor: ac.Executor, calls: list[Call], callback: Callable[[Done], None], tries: int
    ) -> None:
        def done(future: Any) -> None:
            error = None if future.cancelled() else future.exception()
            if isinstance(error, ac.WorkerLost) and tries > 1:
                with contextlib.suppress(RuntimeError):  # it was shut down meanwhile
                    self._try(executor, calls, callback, tries - 1)
            elif not future.cancelled():
                callback(Done(error=error) if error is not None else Done(future.result()))

        executor.submit(run_calls_here, calls).add_done_callback(done)


class Runner:
    """What runs batches of tasks, under the name of what these call: what tasks have shown says nothing of other ones.

    Whoever looks through a partial looks through ``func`` here as well.
    """

    def __init__(self, func: Callable[..., Any], kind: str) -> None:
        self.__dict__.update(func.__dict__)  # what it says of itself
        self.func = func
        self.__qualname__ = kind

    def __call__(self, *args: Any) -> Any:
        return self.func(*args)


def kind_of(call: Call) -> str:
    """The function of a task, and the types of its arguments, in words.

    >>> kind_of((pow, (2, 3), {}))
    'builtins.pow(int, int)'
    """
    function, args, _ = call
    function = compat.inner(function)
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return f"{getattr(function, '__module__', '')}.{name}({', '.join(type(each).__name__ for each in args)})"


@sets_for_all_threads
def run_calls(
    repeated: Repeated, nested: tuple[Any, int | None], item: tuple[int, list[Call]]
) -> tuple[int, list[Any]]:
    """In a worker: the results of one batch of tasks, and its number."""
    import joblib
    import sklearn.base  # noqa: F401  (what workers are forked from has it)

    number, calls = item
    backend, n_jobs = nested
    with joblib.parallel_config(backend=backend, n_jobs=n_jobs):
        return number, [function(*args, **kwargs) for function, args, kwargs in repeated.restored(calls)]


def run_calls_in_thread(
    repeated: Repeated, nested: tuple[Any, int | None], item: tuple[int, list[Call]]
) -> tuple[int, list[Any]]:
    """The same beside others: warning filters belong to all threads, and are the caller's already."""
    import joblib
    from sklearn import config_context

    number, calls = item
    backend, n_jobs = nested
    surroundings = compat.surroundings_of(calls[0][0])
    config = {} if surroundings is None else surroundings.config
    with joblib.parallel_config(backend=backend.beside_others(), n_jobs=n_jobs), config_context(**config):
        return number, [
            compat.inner(function)(*args, **kwargs) for function, args, kwargs in repeated.restored(calls)
        ]


_begun: list[tuple[Repeated, tuple[Any, int | None]]] = []


def begin(repeated: Repeated, nested: tuple[Any, int | None], inner_threads: int | None) -> None:
    """In a worker: what the tasks to come have in common."""
    _begun[:] = [(repeated, nested)]
    if inner_threads is not None:
        import threadpoolctl

        threadpoolctl.threadpool_limits(inner_threads)


def run_calls_here(calls: list[Call]) -> list[Any]:
    """In a worker that has begun: the results of one batch of tasks."""
    return run_calls(*_begun[0], (0, calls))[1]
