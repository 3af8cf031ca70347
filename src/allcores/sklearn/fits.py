"""A batch of fits, recognised: run as one job in which the data travels once."""

from __future__ import annotations

import contextlib
import functools
import time
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import allcores as ac
from allcores.sklearn import compat, durations, thread_safe, warmth
from allcores.sklearn.compat import Surroundings
from allcores.sklearn.sharing import FitCall, Unit, units
from allcores.sklearn.terms import Terms, engine_is_open, outcomes, sets_for_all_threads


class Errand(NamedTuple):
    """A unit, and which calls of the batch its results belong to."""

    indices: tuple[int, ...]
    unit: Unit


class Around(NamedTuple):
    """What is around every fit of a batch.

    Attributes:
        surroundings: scikit-learn's configuration and warning filters.
        nested: the backend for calls of Parallel inside a fit, and its number of jobs.
        classes: of the estimators, so that they are loaded before workers are forked.
    """

    surroundings: Surroundings | None
    nested: tuple[Any, int | None]
    classes: tuple[type, ...]


def run(calls: list[FitCall], surroundings: Surroundings | None, terms: Terms) -> list[Any]:
    """The results of the calls, in their order.

    Raises:
        What a fit raises where scikit-learn lets it.
    """
    batch = _Batch(calls, surroundings, terms)
    errands = batch.errands()
    if terms.watcher is not None:
        answers = terms.watcher.answers(calls, [each.unit for each in errands])
        if answers is not None:
            return answers
    names = durations.names_of(calls)
    began = time.monotonic()
    while errands:
        errands = batch.run(errands)
    batch.ended(time.monotonic() - began)
    durations.remember(names, batch.results)
    return batch.results


class _Batch:
    """The fits of one batch, and what has become of them.

    Attributes:
        results: of the calls, in their order.
        in_threads: whether they run in threads of this process.
    """

    def __init__(self, calls: list[FitCall], surroundings: Surroundings | None, terms: Terms) -> None:
        self._calls = calls
        self._terms = terms
        classes = {type(each): None for each in _estimators(calls)}
        self._around = Around(surroundings, terms.nested, tuple(classes))
        self._timeout = None if terms.watcher is None else terms.watcher.timeout
        self.results: list[Any] = [None] * len(calls)
        self.in_threads = self._short = False
        self._kind = tuple(classes)
        self._in_threads_seconds: list[tuple[float, float]] = []  # of each unit, and what its thread computed

    def errands(self) -> list[Errand]:
        """What there is to run.

        The longest comes first, where nobody looks. A search of ours shows and keeps what is whole, candidate by
        candidate; and where errors are raised, it should be the earliest one's.
        """
        calls = range(len(self._calls))
        # A time limit is one fit's, and who shares holds warnings back.
        if self._timeout is not None or self._terms.beside_others:
            return self._alone(calls)
        found = [Errand(unit.indices, unit) for unit in units(self._calls, workers=self._terms.n_jobs)]
        self._short = durations.are_short(self._calls) and engine_is_open()
        # Units of several calls hold back the warnings of the process.
        self.in_threads = not self._short and len(found) == len(calls) and self._may_run_in_threads()
        if self._terms.watcher is not None or not all(map(compat.may_fail, self._calls)):
            return sorted(found, key=lambda errand: min(errand.indices))
        return durations.longest_first(found, self._calls)

    def _may_run_in_threads(self) -> bool:
        return (
            self._terms.n_jobs > 1
            and not warmth.prefers_processes(self._kind)
            and thread_safe.may_share_a_process(self._calls)
            and not durations.should_be_short(self._calls)
            and engine_is_open()
        )

    def run(self, errands: list[Errand]) -> list[Errand]:
        """Runs errands; those that are to be run in another way."""
        again: list[Errand] = []
        try:
            with self._filters_kept(), outcomes(self._stream(errands), len(errands)) as values:
                for position, value in enumerate(values):
                    if isinstance(value, ac.Failure):
                        again += self._failed(errands[value.index], value.error)
                    elif self._terms.watcher is None:
                        self._finish(errands[position], value)
                    else:
                        self._finish(errands[value[0]], value[1])
        except KeyboardInterrupt as interrupt:
            if self._terms.watcher is not None:  # what had arrived, and was not yet looked at
                for value in ac.partial(interrupt).values():
                    if not isinstance(value, ac.Failure):
                        self._finish(errands[value[0]], value[1])
            raise
        return again

    def _filters_kept(self) -> contextlib.AbstractContextManager[Any]:
        """scikit-learn sets the process's warning filters for a moment; threads put them back in another order."""
        return warnings.catch_warnings() if self.in_threads else contextlib.nullcontext()

    def _stream(self, errands: list[Errand]) -> ac.Stream:
        options = self._terms.options()
        function: Any = run_unit
        if self.in_threads or self._short:
            options["engine"] = "threads" if self.in_threads else "inline"
        if self.in_threads or self._terms.beside_others:
            function = functools.partial(run_unit_in_thread, self._in_threads_seconds)
        if self._timeout is not None:
            options["engine"], options["timeout"] = "processes", self._timeout
        first = self._calls[0]
        function = functools.partial(function, first.X, first.y, self._around)
        items: list[Any] = [each.unit for each in errands]
        if self._terms.watcher is None:
            return ac.par(items, **options).map(function)
        numbered = functools.partial(run_numbered, function)
        return ac.par(list(enumerate(items)), ordered=False, **options).map(numbered)

    def ended(self, seconds: float) -> None:
        """All of it took so long: what is to be known for later batches."""
        if self._in_threads_seconds and not self._terms.beside_others:
            wall, computing = map(sum, zip(*self._in_threads_seconds, strict=True))
            possible = min(1.0, ac.cpu_count() / self._terms.n_jobs)
            share = computing / max(wall * possible, 1e-9)
            warmth.took_in_threads(seconds, self._kind, share, run_unit)
        elif self._terms.n_jobs > 1 and not self._terms.beside_others:
            warmth.took_in_processes(seconds)

    def _failed(self, errand: Errand, error: BaseException) -> list[Errand]:
        """Gives a fit whose worker was lost, or whose time is over, the score of failing fits; raises other errors."""
        if not isinstance(error, (ac.WorkerLost, ac.TaskTimeout)):
            raise error
        if len(errand.indices) > 1:  # not all of them are to blame
            return self._alone(errand.indices)
        call = self._calls[errand.indices[0]]
        if not compat.may_fail(call):
            raise error
        text = f"{type(error).__module__}.{type(error).__qualname__}: {error}\n"
        self._finish(errand, [compat.failed(call, self._timeout or 0.0, text)])
        return []

    def _finish(self, errand: Errand, results: list[Any]) -> None:
        for index, result in zip(errand.indices, results, strict=True):
            self.results[index] = result
            if self._terms.watcher is not None:
                self._terms.watcher.finished(index, result)

    def _alone(self, indices: Sequence[int]) -> list[Errand]:
        return [Errand((index,), units([self._calls[index]], workers=1)[0]) for index in indices]


@sets_for_all_threads
def run_unit(X: Any, y: Any, around: Around, unit: Unit) -> list[Any]:
    """The results of one unit."""
    import joblib
    import sklearn.model_selection._validation  # noqa: F401  (what workers are forked from has it)

    backend, n_jobs = around.nested
    with joblib.parallel_config(backend=backend, n_jobs=n_jobs):
        results: list[Any] = compat.rewrapped(around.surroundings, unit.run)(X, y)
        return results


def run_unit_in_thread(
    seconds: list[tuple[float, float]], X: Any, y: Any, around: Around, unit: Unit
) -> list[Any]:
    """The same beside others: warning filters belong to all threads, and are the caller's already.

    Adds to ``seconds`` how long it took, and how long its thread computed.
    """
    import joblib
    from sklearn import config_context

    began, computing_began = time.perf_counter(), time.thread_time()
    backend, n_jobs = around.nested
    config = {} if around.surroundings is None else around.surroundings.config
    with joblib.parallel_config(backend=backend.beside_others(), n_jobs=n_jobs), config_context(**config):
        results = unit.run(X, y)
    seconds.append((time.perf_counter() - began, time.thread_time() - computing_began))
    return results


@sets_for_all_threads
def run_numbered(function: Any, item: tuple[int, Unit]) -> tuple[int, list[Any]]:
    """The results of one unit, and its number."""
    return item[0], function(item[1])


def _estimators(calls: list[FitCall]) -> list[Any]:
    held = [calls[0].estimator, *(value for call in calls for value in (call.parameters or {}).values())]
    return [each for one in held for each in compat.estimators_in(one)]
