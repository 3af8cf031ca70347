"""What had finished when a job ended with an error, kept with the exception."""

from __future__ import annotations

import contextlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

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


def finished(error: BaseException) -> dict[int, Any]:
    """Results by index of the job that ended with this error; empty where nothing is known."""
    kept = getattr(error, ATTRIBUTE, None)
    return kept.results() if isinstance(kept, Finished) else {}
