"""What had finished when a job ended with an error, kept with the exception."""

from __future__ import annotations

import contextlib
from itertools import pairwise

from allcores.tasks.ledger import Kept

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from allcores.runtime.caller import Caller

ATTRIBUTE = "__allcores_finished__"


class Finished:
    """Finds finished results when somebody asks; it does not travel when its exception is pickled."""

    def __init__(self, find: Callable[[], dict[int, Any]] = dict) -> None:
        self._find = find
        self._found: dict[int, Any] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Finished, ()

    def results(self) -> dict[int, Any]:
        """Results by index."""
        if self._found is None:
            self._found = self._find()
        return self._found


def attach(error: BaseException, find: Callable[[], dict[int, Any]]) -> None:
    """Lets ``finished(error)`` find results later, unless the error's class lets nobody add anything."""
    with contextlib.suppress(Exception):
        setattr(error, ATTRIBUTE, Finished(find))


def hand_on(ended: Any, error: BaseException) -> None:
    """What had finished when a job ended with the one is known for the other, too."""
    known = getattr(ended, ATTRIBUTE, None)
    if isinstance(known, Finished):
        attach(error, known.results)


@contextlib.contextmanager
def kept(find: Callable[[], dict[int, Any]]) -> Iterator[None]:
    """Lets ``finished`` find results for any exception that leaves this block."""
    try:
        yield
    except BaseException as error:
        attach(error, find)
        raise


def collected(caller: Caller) -> list[Any]:
    """All outputs of a job; where it fails, those that had finished stay with the exception, handed over or not."""
    results: list[Any] = []
    starts = [(0, 0)]  # index of an item, position of its output

    def find() -> dict[int, Any]:
        found: dict[int, Any] = {}
        for (start, position), (_, following) in pairwise([*starts, (0, len(results))]):
            found.update(enumerate(results[position:following], start))
        found.update(caller.unseen())
        return {index: found[index] for index in sorted(found)}

    if caller.options.ordered and not caller.task.spreads and caller.task.reduction is None:
        caller.into = Kept(results)
    try:
        with contextlib.closing(caller.outputs()) as runs:
            for outputs in runs:
                if (
                    outputs and caller.first != starts[-1][0]
                ):  # else they follow those before, or are there already
                    starts.append((caller.first, len(results)))
                results += outputs
    except BaseException as error:
        told = caller.raised or error  # a StopIteration of the user's cannot leave a generator as it is
        attach(told, find)
        if told is not error:
            raise told from told.__cause__
        raise
    return results


def finished(error: BaseException) -> dict[int, Any]:
    """Results by index of the job that ended with this error; empty where nothing is known."""
    kept = getattr(error, ATTRIBUTE, None)
    return kept.results() if isinstance(kept, Finished) else {}
