"""What holds for all tasks of one call of ``Parallel``."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol, TypeVar

import allcores as ac

Function = TypeVar("Function", bound=Callable[..., Any])

TRIES = 3  # of a task whose worker is lost


class Watcher(Protocol):
    """Who is told of the fits of a search.

    Attributes:
        timeout: seconds that one fit may take, or None.
        searching: whether the fits that are run now are the search's.
    """

    timeout: float | None
    searching: bool

    def answers(self, calls: list[Any], units: list[Any]) -> list[Any] | None:
        """These calls are about to be made, as these units; their results, where they need not be made."""

    def finished(self, index: int, result: Any) -> None:
        """A call has its result."""

    def unrecognised(self, reason: str) -> None:
        """The calls run plainly."""


class Terms(NamedTuple):
    """What holds for all tasks of a call.

    Attributes:
        n_jobs: workers, at most.
        nested: the backend for calls of Parallel inside a task, and its number of jobs.
        inner_threads: that BLAS and OpenMP may use in each worker; None: their share of the cores.
        watcher: who is told of fits (a search of ours), or None.
        beside_others: whether the call is made in one of several threads, so that the warning filters, which belong
            to all of them, must stay as they are.
    """

    n_jobs: int
    nested: tuple[Any, int | None]
    inner_threads: int | None = None
    watcher: Watcher | None = None
    beside_others: bool = False

    def options(self) -> dict[str, Any]:
        """What every job of ours has in common."""
        return {
            "n_jobs": self.n_jobs,
            "inner_threads": self.inner_threads,
            "writes": "allow",
            "retries": TRIES - 1,
            "retry_on": ac.WorkerLost,
            "on_error": "return",
        }


def engine_is_open() -> bool:
    """Whether neither ``allcores.config`` nor the environment asks for an engine."""
    return bool(ac.config.current().get("engine", "auto") == "auto")


@contextlib.contextmanager
def outcomes(stream: ac.Stream, count: int | None = None) -> Iterator[Iterator[Any]]:
    """The values of a stream, ``count`` of them; it is closed when the block is left.

    A stream that is closed when it has given all its values does not say what the end of a job says: that its items
    drew random numbers. Whoever writes ``random_state=None`` knows.
    """
    with contextlib.closing(iter(stream)) as values:
        yield itertools.islice(values, count)


def sets_for_all_threads(function: Function) -> Function:
    """Says of a function that scikit-learn's wrapper, which it calls, sets the warning filters of the process."""
    function.__allcores_process_wide__ = "the warning filters"  # type: ignore[attr-defined]
    return function
