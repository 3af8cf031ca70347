"""par(): a lazy chain of stages over items, and the endings that run it in one pass."""

from __future__ import annotations

import contextlib
import functools
import operator
import weakref
from collections.abc import AsyncGenerator, Callable, Generator, Iterable

from allcores.core.combine import ABSENT, Collector, Reduction, StepFailed
from allcores.options import Options, checked, positive
from allcores.runtime import partial
from allcores.runtime.caller import Caller
from allcores.runtime.opening import collect
from allcores.runtime.source import Source, is_async, iterator_of
from allcores.signatures import otherwise
from allcores.tasks import reductions
from allcores.tasks.ledger import Folded, note_item
from allcores.tasks.task import FILTER, FLAT_MAP, MAP, STARMAP, Task
from allcores.tasks.tracebacks import leave_out_ours, users_frames_only

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from allcores.runtime.asynchronous import Job

    Values = Generator[Any, None, None]

_MISSING: Any = object()
OPTIONS_IN_PAR = "options and items stand in par: write allcores.par(items, n_jobs=2).map(function)"


@otherwise("the function comes behind it: write allcores.par(items).map(function)")
def par(items: Iterable[Any], /, **options: Any) -> Stream:
    """A stream over ``items``: stages are added to it, and nothing runs before an ending is called.

    Args:
        items: any iterable; an endless generator too. Async iterables are for ``async for`` over the stream.
        **options: as for ``map``, and ``ordered=False`` for results as they finish.

    Example:
        >>> import allcores as ac
        >>> ac.par(["a b", "b"]).flat_map(str.split).fold_by(str, int, lambda n, word: n + 1, int.__add__)
        {'a': 1, 'b': 2}
    """
    if not is_async(items):
        iterator_of(items)
    return Stream(items, checked(options))


class Stream:
    """Stages over items, fused into one pass; made by ``par``.

    Each stage gives a new stream. Endings: iteration, ``collect``, ``reduce``, ``fold``, ``fold_by``, ``sum``,
    ``min``, ``max``, ``count``, ``first``, ``any``, ``all`` and ``for_each``.
    """

    def __init__(
        self,
        items: Iterable[Any],
        options: Options,
        stages: tuple[tuple[str, Callable[..., Any]], ...] = (),
        batch: int | None = None,
    ) -> None:
        self._items = items
        self._options = options
        self._stages = stages
        self._batch = batch
        self._running: weakref.WeakSet[Values] = weakref.WeakSet()

    # -- stages ---------------------------------------------------------------------------------------

    @otherwise(OPTIONS_IN_PAR)
    def map(self, function: Callable[[Any], Any]) -> Stream:
        """Every value becomes ``function(value)``."""
        return self._with(MAP, function)

    @otherwise(OPTIONS_IN_PAR)
    def starmap(self, function: Callable[..., Any]) -> Stream:
        """Every value becomes ``function(*value)``."""
        return self._with(STARMAP, function)

    @otherwise(OPTIONS_IN_PAR)
    def filter(self, predicate: Callable[[Any], Any]) -> Stream:
        """Only the values for which ``predicate(value)`` is true stay."""
        return self._with(FILTER, predicate)

    @otherwise(OPTIONS_IN_PAR)
    def flat_map(self, function: Callable[[Any], Iterable[Any]]) -> Stream:
        """Every value becomes all values of ``function(value)``."""
        return self._with(FLAT_MAP, function)

    def batch(self, size: int) -> Stream:
        """Items come in lists of ``size`` (the last one may be shorter). Comes before every other stage.

        Example:
            >>> import allcores as ac
            >>> ac.par(range(5)).batch(2).map(sum).collect()
            [1, 5, 4]
        """
        if self._stages or self._batch is not None:
            raise ValueError("batch comes first, and once; write allcores.par(items).batch(n).map(f)")
        return Stream(self._items, self._options, (), positive("batch", size))

    def _with(self, kind: str, function: Callable[..., Any]) -> Stream:
        if not callable(function):
            hint = (
                "; write filter(bool) for the values that are true"
                if (kind, function) == (FILTER, None)
                else ""
            )
            raise TypeError(f"{kind} needs a function, not {type(function).__name__}{hint}")
        return Stream(self._items, self._options, (*self._stages, (kind, function)), self._batch)

    # -- endings that keep results apart --------------------------------------------------------------

    def __iter__(self) -> Values:
        """Values as they are ready: in order, or with ``ordered=False`` as they finish.

        Input is pulled as results are taken, within a window that is bounded in items and bytes.
        """
        values = self._values(streaming=True)
        self._running.add(values)
        return values

    def __aiter__(self) -> AsyncGenerator[Any, None]:
        """The same, awaited: coroutine functions run in the running event loop, everything else in other threads.

        Example:
            >>> import asyncio
            >>> import allcores as ac
            >>> async def main():
            ...     return [y async for y in ac.par([1, 2, 3]).map(lambda x: x + 1)]
            >>> asyncio.run(main())
            [2, 3, 4]
        """
        from allcores.runtime import asynchronous

        return asynchronous.values_of(lambda job: self._caller(None, True, job), _runs)

    def close(self) -> None:
        """Ends every iteration over this stream that is going on: nothing more is started."""
        for values in list(self._running):
            values.close()

    @users_frames_only
    def collect(self) -> list[Any]:
        """All values, as a list.

        Example:
            >>> import allcores as ac
            >>> ac.par([1, 2, 3]).map(lambda x: x + 1).filter(lambda x: x != 3).collect()
            [2, 4]
        """
        caller = self._caller(None, streaming=False)
        outputs = partial.collected(caller)
        return [value for values in outputs for value in values] if caller.task.spreads else outputs

    @users_frames_only
    @otherwise(OPTIONS_IN_PAR)
    def for_each(self, function: Callable[[Any], Any]) -> None:
        """Calls ``function(value)`` for its effect, in the workers; returns when all are done."""
        self._refuse_failures()
        for _ in self._with(MAP, function)._with(FILTER, reductions.nothing)._values(streaming=False):
            pass

    @users_frames_only
    def first(self, predicate: Callable[[Any], Any] | None = None, default: Any = _MISSING) -> Any:
        """The first value (for which ``predicate`` is true); ``default``, or else ValueError, if there is none.

        It returns as soon as everything before it has finished; an earlier exception is raised instead.

        Example:
            >>> import allcores as ac
            >>> ac.par(range(10**9)).first(lambda x: x > 3)
            4
        """
        self._refuse_failures()
        stream = self if predicate is None else self.filter(predicate)
        with contextlib.closing(stream._ordered()._values(streaming=True)) as values:
            for value in values:
                return value
        if default is _MISSING:
            raise ValueError("no value was found; write first(..., default=None) where there may be none")
        return default

    @users_frames_only
    def any(self, predicate: Callable[[Any], Any] | None = None) -> bool:
        """Whether some value (or ``predicate`` of it) is true; stops at the first that is."""
        return bool(self.map(predicate or bool).map(bool).first(bool, default=False))

    @users_frames_only
    def all(self, predicate: Callable[[Any], Any] | None = None) -> bool:
        """Whether every value (or ``predicate`` of it) is true; stops at the first that is not."""
        return bool(self.map(predicate or bool).map(bool).first(operator.not_, default=True))

    # -- endings that reduce, in the workers ----------------------------------------------------------

    @users_frames_only
    @otherwise("to begin with a value write op(value, stream.reduce(op))")
    def reduce(self, op: Callable[[Any, Any], Any]) -> Any:
        """Values combined by ``op``, which must be associative. TypeError where there are no values.

        Example:
            >>> import allcores as ac
            >>> ac.par([3, 1, 2]).reduce(max)
            3
        """
        _need_callable("reduce", op=op)
        result = self._reduced(Reduction(functools.partial(functools.reduce, op), op))
        if result is ABSENT:
            raise TypeError(
                "reduce of no values has no result; write fold(init, op, op) with an init that changes nothing, "
                "such as int for sums"
            )
        return result

    @users_frames_only
    def fold(
        self, init: Callable[[], Any], step: Callable[[Any, Any], Any], merge: Callable[[Any, Any], Any]
    ) -> Any:
        """Folds runs of values from ``init()`` by ``step(accumulator, value)`` and joins them by ``merge``.

        Every run begins with ``init()``, so it must be neutral: 0 for sums, an empty list or set for collections.

        Example:
            >>> import allcores as ac
            >>> ac.par("abca").fold(set, lambda seen, x: seen | {x}, set.union) == {"a", "b", "c"}
            True
        """
        _need_callable("fold", init=init, step=step, merge=merge)
        result = self._reduced(Reduction(functools.partial(reductions.fold, init, step), merge))
        return init() if result is ABSENT else result

    @users_frames_only
    def fold_by(
        self,
        key: Callable[[Any], Any],
        init: Callable[[], Any],
        step: Callable[[Any, Any], Any],
        merge: Callable[[Any, Any], Any],
    ) -> dict[Any, Any]:
        """Like ``fold``, separately for each ``key(value)``; keys in the order of their first value.

        Example:
            >>> import allcores as ac
            >>> ac.par([1, 2, 3, 4]).fold_by(lambda x: x % 2, int, int.__add__, int.__add__)
            {1: 4, 0: 6}
        """
        _need_callable("fold_by", key=key, init=init, step=step, merge=merge)
        fold = functools.partial(reductions.fold_by, key, init, step)
        result = self._reduced(Reduction(fold, functools.partial(reductions.merge_by, merge)))
        return {} if result is ABSENT else dict(result)

    @users_frames_only
    @otherwise("to begin with a value write value + stream.sum()")
    def sum(self) -> Any:
        """The sum of the values; 0 where there are none."""
        result = self._reduced(Reduction(sum, operator.add))
        return 0 if result is ABSENT else result

    @users_frames_only
    def min(self, key: Callable[[Any], Any] | None = None, default: Any = _MISSING) -> Any:
        """The smallest value (by ``key``), the first of equal ones."""
        return self._extreme("min", min, key, default)

    @users_frames_only
    def max(self, key: Callable[[Any], Any] | None = None, default: Any = _MISSING) -> Any:
        """The largest value (by ``key``), the first of equal ones."""
        return self._extreme("max", max, key, default)

    @users_frames_only
    def count(self) -> int:
        """The number of values."""
        result = self._reduced(Reduction(len, operator.add))
        return 0 if result is ABSENT else int(result)

    def _extreme(self, name: str, choose: Any, key: Any, default: Any) -> Any:
        fold = functools.partial(choose, key=key)
        result = self._reduced(Reduction(fold, functools.partial(reductions.choose_one, choose, key)))
        if result is not ABSENT:
            return result
        if default is _MISSING:
            raise ValueError(
                f"{name} of no values has no result; write {name}(default=...) where there may be none"
            )
        return default

    # -- running --------------------------------------------------------------------------------------

    def _ordered(self) -> Stream:
        return Stream(self._items, self._options._replace(ordered=True), self._stages, self._batch)

    def _caller(self, reduction: Reduction | None, streaming: bool, job: Job | None = None) -> Caller:
        task = Task(self._stages, reduction, self._options.retry_classes)
        if job is not None:
            source = job.source((self._items,), self._batch)
            return Caller(task, source, self._options, streaming, job.loop)
        return Caller(task, Source((self._items,), self._batch), self._options, streaming)

    def _values(self, streaming: bool) -> Values:
        return _flat(_runs(self._caller(None, streaming)))

    def _refuse_failures(self) -> None:
        if self._options.on_error == "return":
            raise ValueError(
                "on_error='return' leaves failures among the values, which this ending could not hand over; "
                "collect() them first, or write on_error='raise'"
            )

    def _reduced(self, reduction: Reduction) -> Any:
        self._refuse_failures()
        caller = self._ordered()._caller(reduction, streaming=False)
        collector = Collector(reduction, caller.task.spreads)
        caller.into = Folded(collector)
        try:
            with contextlib.closing(caller.settled()) as entries:
                for entry in entries:
                    collect(caller, entry, collector)
            return collector.result()
        except StepFailed as failed:
            assert failed.__cause__ is not None
            note_item(failed.__cause__, failed.index)
            raise failed.__cause__ from failed.__cause__.__cause__


def _runs(caller: Caller) -> Generator[list[Any], None, None]:
    """Lists of consecutive values."""
    return _flat(caller.outputs()) if caller.task.spreads else caller.outputs()


def _flat(runs: Generator[list[Any], None, None]) -> Values:
    try:
        with contextlib.closing(runs):
            for run in runs:
                yield from run
    except BaseException as error:
        leave_out_ours(error)
        raise


def _need_callable(ending: str, **functions: Any) -> None:
    for name, function in functions.items():
        if not callable(function):
            hint = f"; write {name}=lambda: {function!r}" if name == "init" else ""
            raise TypeError(f"{ending} needs a function for {name}, not {type(function).__name__}{hint}")
