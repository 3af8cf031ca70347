"""The task behind an executor: an item is a call, as (function, args, kwargs), and the task makes it."""

from __future__ import annotations

from _thread import _local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Item = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class InitializerFailed(Exception):
    """The initializer has raised what is the cause of this; the call itself was not made."""


def call(item: Item) -> Any:
    """Makes one call."""
    function, args, kwargs = item
    return function(*args, **kwargs)


class Initialized:
    """Makes calls in workers that run an initializer first: once in each process, or in each thread.

    >>> make = Initialized(print, ("ready",))
    >>> make((abs, (-1,), {})), make((abs, (-2,), {}))
    ready
    (1, 2)
    """

    __slots__ = ("_worker", "initargs", "initializer")

    def __init__(self, initializer: Callable[..., Any], initargs: tuple[Any, ...]) -> None:
        self.initializer = initializer
        self.initargs = initargs
        self._worker = _local()

    def __reduce__(self) -> tuple[Any, ...]:
        return Initialized, (self.initializer, self.initargs)

    def __call__(self, item: Item) -> Any:
        """Makes one call. Raises InitializerFailed."""
        if not hasattr(self._worker, "initialized"):
            try:
                self.initializer(*self.initargs)
            except BaseException as error:
                raise InitializerFailed from error
            self._worker.initialized = True
        return call(item)
